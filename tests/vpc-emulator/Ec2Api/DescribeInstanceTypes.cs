using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

internal static class DescribeInstanceTypes
{
    private static readonly Dictionary<string, FilterValues<InstanceType>> Known = new()
    {
        ["instance-type"] = (_, type) => [type.Type],
        ["hypervisor"] = (_, type) => [type.Hypervisor],
        ["bare-metal"] = (_, type) => [type.BareMetal ? "true" : "false"],
    };

    public static Effect Read(RequestParameters request)
    {
        var filters = new Filters<InstanceType>(request, Known, _ => new Dictionary<string, string>());
        var names = request.List("InstanceType");
        var page = new Page(request, names, maximum: 100);
        return vpc =>
        {
            if (names.Find(name => InstanceType.Find(name) is null) is { } unknown)
            {
                throw new Ec2Exception("InvalidInstanceType", $"The following supplied instance types do not exist: [{unknown}]");
            }

            // A page is so many types, whatever of them the filter leaves: pages may be empty and not the last (aws/boto3 issue 2888).
            var all = InstanceType.All.Select((type, index) => ((long)index, type)).Where(entry => names.Count == 0 || names.Contains(entry.type.Type));
            return [page.Of("instanceTypeSet", all, Content, type => filters.Match(vpc, type))];
        };
    }

    private static object?[] Content(InstanceType type) =>
    [
        Xml.Element("instanceType", type.Type),
        Xml.Element("bareMetal", type.BareMetal),
        type.Hypervisor == "unknown" ? null : Xml.Element("hypervisor", type.Hypervisor), // Bare metal has none.
        Xml.Element("networkInfo",
            Xml.Element("maximumNetworkInterfaces", type.Cards.Sum()),
            Xml.Element("maximumNetworkCards", type.Cards.Count),
            Xml.Element("defaultNetworkCardIndex", 0),
            Xml.Element("ipv4AddressesPerInterface", type.Ipv4PerEni),
            Xml.Set("networkCards", type.Cards.Select((maximum, index) => new[]
            {
                Xml.Element("networkCardIndex", index),
                Xml.Element("maximumNetworkInterfaces", maximum),
            }))),
    ];
}
