using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>A pod's pair of links, as a value: all of its wiring that needs no address.</summary>
public sealed record PodVeth
{
    /// <summary>The pair of one sandbox.</summary>
    /// <param name="sandbox">As <c>CniCall</c> lets it pass: the kernel and the link's alias can hold its names.</param>
    /// <param name="mtu">Bytes; 576 to 9001.</param>
    /// <param name="prefix">Of the host end's name; up to four characters.</param>
    public PodVeth(SandboxKey sandbox, PodName pod, int mtu, string prefix = VethName.DefaultPrefix)
    {
        (Sandbox, Pod, Mtu) = (sandbox, pod, mtu);
        HostVeth = VethName.Of(sandbox, pod, prefix);
    }

    /// <summary>A pod's first interface is named so by every runtime of Kubernetes, and is looked at no further.</summary>
    public const string FirstIfName = "eth0";

    /// <summary>Whose it is. The pod's end has the interface name in it.</summary>
    public SandboxKey Sandbox { get; }

    /// <summary>What people call it.</summary>
    public PodName Pod { get; }

    /// <summary>Of both ends, in bytes.</summary>
    public int Mtu { get; }

    /// <summary>The link-layer address that the host end gets; null: a random one when it is made.</summary>
    internal MacAddress? HostMac { get; init; }

    /// <summary>The host end's name.</summary>
    public string HostVeth { get; private init; }

    /// <summary>The same, of before the prefix was another one.</summary>
    internal PodVeth Named(string hostVeth) => this with { HostVeth = hostVeth };
}
