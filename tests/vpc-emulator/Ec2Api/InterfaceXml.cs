using System.Xml.Linq;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

/// <summary>An interface as the answers show it.</summary>
internal static class InterfaceXml
{
    public static IEnumerable<XElement?> Of(Vpc vpc, Eni eni)
    {
        foreach (var element in Common(vpc, eni))
        {
            yield return element;
        }

        yield return Xml.Element("availabilityZone", eni.Subnet.Zone);
        yield return Xml.Element("availabilityZoneId", eni.Subnet.ZoneId);
        yield return Xml.Element("requesterManaged", false);
        yield return Xml.Tags(eni.Tags);
        if (eni.Attachment is { } attachment)
        {
            yield return Xml.Element("attachment",
                Attachment(attachment),
                Xml.Element("instanceId", attachment.Instance.Id),
                Xml.Element("instanceOwnerId", vpc.AccountId));
        }
    }

    /// <summary>Inside DescribeInstances: no tags, no zone, and its attachment has no instanceId.</summary>
    public static IEnumerable<XElement?> InInstance(Vpc vpc, Eni eni) =>
        [.. Common(vpc, eni), Xml.Element("attachment", Attachment(eni.Attachment!))];

    public static string Words(EniStatus status) => status == EniStatus.InUse ? "in-use" : status.ToString().ToLowerInvariant();

    public static string Words(AttachmentStatus status) => status.ToString().ToLowerInvariant();

    private static IEnumerable<XElement?> Common(Vpc vpc, Eni eni) =>
    [
        Xml.Element("networkInterfaceId", eni.Id),
        Xml.Element("interfaceType", "interface"),
        Xml.Element("status", Words(eni.Status)),
        Xml.Element("subnetId", eni.Subnet.Id),
        Xml.Element("vpcId", vpc.Id),
        Xml.Element("description", eni.Description),
        Xml.Element("ownerId", vpc.AccountId),
        Xml.Element("macAddress", eni.Mac),
        Xml.Element("privateIpAddress", eni.Addresses[0]),
        Xml.Element("privateDnsName", Xml.HostName(vpc, eni.Addresses[0])),
        Xml.Element("sourceDestCheck", eni.SourceDestCheck),
        Xml.Groups(vpc, eni.Groups),
        Xml.Set("privateIpAddressesSet", eni.Addresses.Select((address, index) => new[]
        {
            Xml.Element("privateIpAddress", address),
            Xml.Element("primary", index == 0),
            Xml.Element("privateDnsName", Xml.HostName(vpc, address)),
        })),
        eni.Prefixes.Count == 0 ? null : Xml.Set("ipv4PrefixSet", eni.Prefixes.Select(prefix => Xml.Element("ipv4Prefix", prefix))),
        Xml.Set("ipv6AddressesSet", []),
        Xml.Element("operator", Xml.Element("managed", false)),
    ];

    private static XElement[] Attachment(Attachment attachment) =>
    [
        Xml.Element("attachmentId", attachment.Id),
        Xml.Element("attachTime", attachment.At),
        Xml.Element("deleteOnTermination", attachment.DeleteOnTermination),
        Xml.Element("deviceIndex", attachment.DeviceIndex),
        Xml.Element("networkCardIndex", attachment.NetworkCardIndex),
        Xml.Element("status", Words(attachment.Status)),
    ];
}
