using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

internal static class DescribeVpcs
{
    private static readonly Dictionary<string, FilterValues<Vpc>> Known = new()
    {
        ["vpc-id"] = (_, vpc) => [vpc.Id],
        ["cidr"] = (_, vpc) => [vpc.Cidrs[0].ToString()],
        ["state"] = (_, _) => ["available"],
    };

    public static Effect Read(RequestParameters request)
    {
        var filters = new Filters<Vpc>(request, Known, vpc => vpc.Tags);
        var ids = request.List("VpcId");
        var page = new Page(request, ids);
        return vpc => ids.Find(id => id != vpc.Id) is { } unknown
            ? throw Ec2Exception.NoVpc(unknown)
            : [page.Of("vpcSet", new[] { (0L, vpc) }.Where(_ => filters.Match(vpc, vpc)), Content)];
    }

    private static object[] Content(Vpc vpc) =>
    [
        Xml.Element("vpcId", vpc.Id),
        Xml.Element("ownerId", vpc.AccountId),
        Xml.Element("state", "available"),
        Xml.Element("cidrBlock", vpc.Cidrs[0]),
        Xml.Set("cidrBlockAssociationSet", vpc.Cidrs.Select((cidr, index) => new[]
        {
            Xml.Element("associationId", $"vpc-cidr-assoc-{index:x17}"),
            Xml.Element("cidrBlock", cidr),
            Xml.Element("cidrBlockState", Xml.Element("state", "associated")),
        })),
        Xml.Set("ipv6CidrBlockAssociationSet", []),
        Xml.Element("isDefault", false),
        Xml.Tags(vpc.Tags),
    ];
}
