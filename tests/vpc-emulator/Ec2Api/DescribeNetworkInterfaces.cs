using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

internal static class DescribeNetworkInterfaces
{
    private static readonly Dictionary<string, FilterValues<Eni>> Known = new()
    {
        ["vpc-id"] = (vpc, _) => [vpc.Id],
        ["network-interface-id"] = (_, eni) => [eni.Id],
        ["subnet-id"] = (_, eni) => [eni.Subnet.Id],
        ["availability-zone"] = (_, eni) => [eni.Subnet.Zone],
        ["attachment.instance-id"] = (_, eni) => [eni.Attachment?.Instance.Id],
        ["attachment.status"] = (_, eni) => [eni.Attachment is { } attachment ? InterfaceXml.Words(attachment.Status) : null],
        ["status"] = (_, eni) => [InterfaceXml.Words(eni.Status)],
        ["group-id"] = (_, eni) => eni.Groups,
        ["mac-address"] = (_, eni) => [eni.Mac],
        ["private-ip-address"] = (_, eni) => [eni.Addresses[0].ToString()],
        ["addresses.private-ip-address"] = (_, eni) => eni.Addresses.Select(address => address.ToString()),
        ["description"] = (_, eni) => [eni.Description],
    };

    public static Effect Read(RequestParameters request)
    {
        var filters = new Filters<Eni>(request, Known, eni => eni.Tags);
        var ids = request.List("NetworkInterfaceId").ConvertAll(RequestParameters.WellFormedEni);
        var page = new Page(request, ids);
        return vpc =>
        {
            var seen = vpc.EnisSeenBy(request.Server);
            if (ids.Find(id => seen.All(eni => eni.Id != id)) is { } unknown)
            {
                throw Ec2Exception.NoInterface(unknown); // Only the first one is named.
            }

            var matching = seen.Where(eni => (ids.Count == 0 || ids.Contains(eni.Id)) && filters.Match(vpc, eni));
            return [page.Of("networkInterfaceSet", matching.Select(eni => (eni.Sequence, eni)), eni => InterfaceXml.Of(vpc, eni))];
        };
    }
}
