using AwsVpcCni.VpcEmulator.Ec2Api;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Control;

/// <summary>All of a VPC at one moment, for programs to read: `GET /_emulator/state`.</summary>
public sealed record VpcState(
    string VpcId, IReadOnlyList<SubnetView> Subnets, IReadOnlyList<InstanceView> Instances, IReadOnlyList<InterfaceView> Interfaces)
{
    public static VpcState Of(Vpc vpc) => new(
        vpc.Id,
        [.. vpc.Subnets.Select(subnet => new SubnetView(subnet.Id, subnet.Cidr.ToString(), subnet.AvailableIpAddressCount))],
        [.. vpc.Instances.Select(instance => new InstanceView(
            instance.Id, instance.Name, instance.Type.Type, instance.Role.ToString(), instance.State.ToString(), instance.Subnet.Id))],
        [.. vpc.Enis.Select(eni => new InterfaceView(
            eni.Id,
            eni.Mac,
            eni.Subnet.Id,
            InterfaceXml.Words(eni.Status),
            eni.Attachment?.Instance.Id,
            eni.Attachment?.DeviceIndex,
            eni.Attachment is { } attachment ? InterfaceXml.Words(attachment.Status) : null,
            eni.Attachment?.DeleteOnTermination,
            [.. eni.Addresses.Select(address => address.ToString())],
            [.. eni.Prefixes.Select(prefix => prefix.ToString())],
            new SortedDictionary<string, string>(eni.Tags, StringComparer.Ordinal)))]);
}

public sealed record SubnetView(string Id, string Cidr, int Available);

public sealed record InstanceView(string Id, string Name, string Type, string Role, string State, string Subnet);

/// <param name="Instance">Null, like the three after it: attached to nothing.</param>
/// <param name="Addresses">The primary one first.</param>
public sealed record InterfaceView(
    string Id,
    string Mac,
    string Subnet,
    string Status,
    string? Instance,
    int? DeviceIndex,
    string? Attachment,
    bool? DeleteOnTermination,
    IReadOnlyList<string> Addresses,
    IReadOnlyList<string> Prefixes,
    IReadOnlyDictionary<string, string> Tags);
