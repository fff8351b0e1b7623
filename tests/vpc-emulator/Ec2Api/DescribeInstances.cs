using System.Globalization;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

/// <summary>Each instance is a reservation of its own.</summary>
internal static class DescribeInstances
{
    private static readonly Dictionary<string, FilterValues<Instance>> Known = new()
    {
        ["vpc-id"] = (vpc, _) => [vpc.Id],
        ["instance-id"] = (_, instance) => [instance.Id],
        ["instance-type"] = (_, instance) => [instance.Type.Type],
        ["instance-state-name"] = (_, instance) => [Words(instance.State)],
        ["instance-state-code"] = (_, instance) => [((int)instance.State).ToString(CultureInfo.InvariantCulture)],
        ["availability-zone"] = (_, instance) => [instance.Subnet.Zone],
        ["subnet-id"] = (_, instance) => [instance.Subnet.Id],
    };

    public static Effect Read(RequestParameters request)
    {
        var filters = new Filters<Instance>(request, Known, instance => instance.Tags);
        var ids = request.List("InstanceId");
        var page = new Page(request, ids);
        return vpc =>
        {
            if (ids.Find(id => vpc.FindInstance(id) is null) is { } unknown)
            {
                throw Ec2Exception.NoInstance(unknown);
            }

            var matching = vpc.Instances.Where(instance => (ids.Count == 0 || ids.Contains(instance.Id)) && filters.Match(vpc, instance));
            var enis = vpc.EnisSeenBy(request.Server).Where(eni => eni.Attachment is not null).ToLookup(eni => eni.Attachment!.Instance);
            return [page.Of("reservationSet", matching.Select(instance => (instance.Sequence, instance)), instance => Reservation(vpc, instance, enis[instance]))];
        };
    }

    private static object[] Reservation(Vpc vpc, Instance instance, IEnumerable<Eni> enis) =>
    [
        Xml.Element("reservationId", instance.ReservationId),
        Xml.Element("ownerId", vpc.AccountId),
        Xml.Set("instancesSet", [InstanceXml(vpc, instance, [.. enis.OrderBy(eni => (eni.Attachment!.NetworkCardIndex, eni.Attachment.DeviceIndex))])]),
    ];

    private static object[] InstanceXml(Vpc vpc, Instance instance, List<Eni> enis)
    {
        object[] always =
        [
            Xml.Element("instanceId", instance.Id),
            Xml.Element("instanceType", instance.Type.Type),
            Xml.Element("launchTime", instance.LaunchedAt),
            Xml.Element("instanceState", Xml.Element("code", (int)instance.State), Xml.Element("name", Words(instance.State))),
            Xml.Element("placement", Xml.Element("availabilityZone", instance.Subnet.Zone), Xml.Element("availabilityZoneId", instance.Subnet.ZoneId)),
            Xml.Element("hypervisor", "xen"), // Of Nitro instances too, for the sake of old programs.
            Xml.Tags(instance.Tags),
        ];
        return enis.Count == 0
            ? always // A terminated instance has no place in the network any more.
            :
            [
                .. always,
                Xml.Element("subnetId", instance.Subnet.Id),
                Xml.Element("vpcId", vpc.Id),
                Xml.Element("privateIpAddress", enis[0].Addresses[0]),
                Xml.Element("privateDnsName", Xml.HostName(vpc, enis[0].Addresses[0])),
                Xml.Groups(vpc, instance.Groups),
                Xml.Set("networkInterfaceSet", enis.Select(eni => InterfaceXml.InInstance(vpc, eni))),
            ];
    }

    private static string Words(InstanceState state) => state == InstanceState.ShuttingDown ? "shutting-down" : state.ToString().ToLowerInvariant();
}
