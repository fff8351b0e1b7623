using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

internal static class DescribeSubnets
{
    private static readonly Dictionary<string, FilterValues<Subnet>> Known = new()
    {
        ["vpc-id"] = (vpc, _) => [vpc.Id],
        ["subnet-id"] = (_, subnet) => [subnet.Id],
        ["availability-zone"] = (_, subnet) => [subnet.Zone],
        ["availability-zone-id"] = (_, subnet) => [subnet.ZoneId],
        ["cidr-block"] = (_, subnet) => [subnet.Cidr.ToString()],
        ["state"] = (_, _) => ["available"],
    };

    public static Effect Read(RequestParameters request)
    {
        var filters = new Filters<Subnet>(request, Known, subnet => subnet.Tags);
        var ids = request.List("SubnetId");
        var page = new Page(request, ids);
        return vpc =>
        {
            if (ids.Find(id => vpc.FindSubnet(id) is null) is { } unknown)
            {
                throw Ec2Exception.NoSubnet(unknown);
            }

            var matching = vpc.Subnets.Select((subnet, index) => ((long)index, subnet))
                .Where(entry => (ids.Count == 0 || ids.Contains(entry.subnet.Id)) && filters.Match(vpc, entry.subnet));
            return [page.Of("subnetSet", matching, subnet => Content(vpc, subnet))];
        };
    }

    private static object[] Content(Vpc vpc, Subnet subnet) =>
    [
        Xml.Element("subnetId", subnet.Id),
        Xml.Element("subnetArn", $"arn:aws:ec2:{vpc.Region}:{vpc.AccountId}:subnet/{subnet.Id}"),
        Xml.Element("state", "available"),
        Xml.Element("ownerId", vpc.AccountId),
        Xml.Element("vpcId", vpc.Id),
        Xml.Element("cidrBlock", subnet.Cidr),
        Xml.Set("ipv6CidrBlockAssociationSet", []),
        Xml.Element("availableIpAddressCount", subnet.AvailableIpAddressCount),
        Xml.Element("availabilityZone", subnet.Zone),
        Xml.Element("availabilityZoneId", subnet.ZoneId),
        Xml.Element("defaultForAz", false),
        Xml.Element("mapPublicIpOnLaunch", false),
        Xml.Tags(subnet.Tags),
    ];
}
