using System.Net;
using System.Net.Sockets;
using AwsVpcCni.VpcEmulator.Fabric;
using AwsVpcCni.VpcEmulator.Imds;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator;

/// <summary>Makes the model's events real: namespaces, veths, what the router delivers; the metadata service in every instance, and the
/// EC2 API in those for silos, never in a node.</summary>
/// <remarks>Events come one at a time, in order (<see cref="LiveVpc"/>).</remarks>
internal sealed class Wires(VpcFabric fabric, LiveVpc live, Func<Socket, Task<Door>> openDoor, TimeProvider time) : IAsyncDisposable
{
    private static readonly IPEndPoint Ec2InSilos = new(IPAddress.Loopback, 4566);
    private readonly Dictionary<string, List<IAsyncDisposable>> _servers = [];

    public Task CarryOutAsync(VpcEvent happened) => happened switch
    {
        VpcEvent.InstanceLaunched(var instance) => AddAsync(instance),
        VpcEvent.InterfaceAttached(var eni, var attachment, var addresses) => PlugAsync(eni, attachment, addresses),
        VpcEvent.AddressesChanged(var eni, var addresses) => fabric.SetHeldAsync(eni.Id, addresses),
        VpcEvent.InterfaceDetached(var eni, _) => fabric.DetachInterfaceAsync(eni.Id),
        VpcEvent.InstanceTerminated(var instance) => RemoveAsync(instance.Id),
        _ => throw new InvalidOperationException($"{happened}: no wire for it."),
    };

    public async ValueTask DisposeAsync()
    {
        foreach (var instanceId in _servers.Keys.ToList())
        {
            await StopServersAsync(instanceId);
        }
    }

    private async Task AddAsync(Instance instance)
    {
        await fabric.AddNodeAsync(instance.Id, instance.Name);
        var path = fabric.NamespacePath(instance.Id);
        var servers = _servers[instance.Id] = [];
        servers.Add(await ImdsServer.StartAsync(path, () => live.Do(vpc => Metadata(vpc, instance)), time));
        if (instance.Role == InstanceRole.Silos)
        {
            servers.Add(await openDoor(NetworkNamespace.Listen(path, Ec2InSilos)));
        }
    }

    private async Task PlugAsync(Eni eni, Attachment attachment, IReadOnlyList<IPAddress> addresses)
    {
        await fabric.AttachInterfaceAsync(
            attachment.Instance.Id, eni.Id, eni.Mac, attachment.DeviceIndex, eni.Subnet.Cidr, addresses[0]);
        await fabric.SetHeldAsync(eni.Id, addresses);
    }

    private async Task RemoveAsync(string instanceId)
    {
        await StopServersAsync(instanceId); // Their sockets would keep the namespace.
        await fabric.RemoveNodeAsync(instanceId);
    }

    private async Task StopServersAsync(string instanceId)
    {
        if (_servers.Remove(instanceId, out var servers))
        {
            foreach (var server in servers)
            {
                await server.DisposeAsync();
            }
        }
    }

    private static ImdsInstance Metadata(Vpc vpc, Instance instance)
    {
        var interfaces = vpc.EnisInMetadata(instance.Id);
        return new ImdsInstance
        {
            InstanceId = instance.Id,
            InstanceType = instance.Type.Type,
            AccountId = vpc.AccountId,
            Region = vpc.Region,
            AvailabilityZone = instance.Subnet.Zone,
            AvailabilityZoneId = instance.Subnet.ZoneId,
            PendingTime = instance.LaunchedAt,
            Enabled = interfaces.Any(entry => entry is { IsWhole: true, Eni.Attachment: { DeviceIndex: 0, NetworkCardIndex: 0 } }), // Just launched, or ending.
            Interfaces = [.. interfaces.Select(entry => Metadata(vpc, entry.Eni, entry.IsWhole))],
        };
    }

    private static ImdsInterface Metadata(Vpc vpc, Eni eni, bool isWhole) => new()
    {
        Mac = eni.Mac,
        EniId = eni.Id,
        DeviceNumber = eni.Attachment!.DeviceIndex,
        NetworkCard = eni.Attachment.NetworkCardIndex,
        OwnerId = vpc.AccountId,
        SubnetId = eni.Subnet.Id,
        SubnetCidr = eni.Subnet.Cidr,
        VpcId = vpc.Id,
        VpcCidrs = vpc.Cidrs,
        SecurityGroupIds = eni.Groups,
        LocalIpv4s = [.. eni.Addresses],
        Ipv4Prefixes = [.. eni.Prefixes],
        IsWhole = isWhole,
    };
}
