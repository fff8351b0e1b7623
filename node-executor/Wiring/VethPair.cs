using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>A pod's two links as <see cref="Wirer.TryMake"/> has made them: up, without alias and address, so in nobody's use.</summary>
public sealed class VethPair : IPodPair
{
    internal VethPair(
        PodVeth veth, MacAddress hostMac, int hostIndex, NetlinkSocket pod, MacAddress podMac, int podIndex, PodRouting routing, SandboxKey? displaced) =>
        (Veth, HostMac, HostIndex, Pod, PodMac, PodIndex, Routing, Displaced) = (veth, hostMac, hostIndex, pod, podMac, podIndex, routing, displaced);

    internal PodVeth Veth { get; }

    internal MacAddress HostMac { get; }

    internal int HostIndex { get; }

    /// <summary>In the pod's namespace.</summary>
    internal NetlinkSocket Pod { get; }

    internal MacAddress PodMac { get; }

    internal int PodIndex { get; }

    internal PodRouting Routing { get; }

    internal SandboxKey? Displaced { get; }

    /// <summary>Closes the socket; the links stay.</summary>
    public void Dispose() => Pod.Dispose();
}
