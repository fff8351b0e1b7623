using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>Everything that one pod needs in the kernel, as a value: names, addresses, routes, rules.</summary>
/// <remarks>
/// The layout is amazon-vpc-cni-k8s's. The pod has a /32 and no subnet: everything leaves through 169.254.1.1, an address that
/// nobody has; a permanent neighbour entry gives it the host end's link-layer address, so that nothing is ever asked by ARP.
/// The host finds the pod by a /32 route in table main; rule 512 puts that route before every interface's own table. What the pod
/// sends from a secondary interface's address leaves through that interface's table (rule 1536), else the VPC drops it.
/// </remarks>
public sealed record PodWiring
{
    /// <summary>Priority of "to the pod: table main".</summary>
    public const int ToPodPriority = 512;

    /// <summary>Priority of "from the pod: its interface's table".</summary>
    public const int FromPodPriority = 1536;

    /// <summary>RT_TABLE_MAIN, linux/rtnetlink.h.</summary>
    public const int MainTable = Rtnetlink.RT_TABLE_MAIN;

    private PodWiring(PodVeth veth, Ip address, int routeTable, DateTimeOffset since)
    {
        (Veth, Address, RouteTable) = (veth, address, routeTable);
        Alias = new LinkAlias(veth.Sandbox, address, since, veth.Pod.ToString());
    }

    /// <summary>Its two links.</summary>
    public PodVeth Veth { get; }

    /// <summary>Whose wiring it is.</summary>
    public SandboxKey Sandbox => Veth.Sandbox;

    /// <summary>What people call it.</summary>
    public PodName Pod => Veth.Pod;

    /// <summary>The pod's address.</summary>
    public Ip Address { get; }

    /// <summary>The table of the interface that holds the address; <see cref="MainTable"/> for the primary one.</summary>
    public int RouteTable { get; }

    /// <summary>The host end's name.</summary>
    public string HostVeth => Veth.HostVeth;

    /// <summary>What the host end says about its owner.</summary>
    public LinkAlias Alias { get; }

    internal Route HostRoute => new(new Cidr(Address, 32), null, MainTable);

    internal ImmutableArray<Rule> HostRules => RouteTable == MainTable
        ? [new Rule(ToPodPriority, null, Address, MainTable)]
        : [new Rule(ToPodPriority, null, Address, MainTable), new Rule(FromPodPriority, Address, null, RouteTable)];

    /// <summary>What the wiring of one sandbox is.</summary>
    /// <param name="routeTable">From <see cref="TableOf"/>.</param>
    /// <param name="since">Now, UTC. Kept in the alias.</param>
    /// <exception cref="ArgumentException">An address that cannot be wired. The message is for the runtime's user.</exception>
    public static PodWiring Of(PodVeth veth, Ip address, int routeTable, DateTimeOffset since) =>
        address.IsV6 ? throw new ArgumentException($"{address}: only IPv4 pods can be wired.") : new PodWiring(veth, address, routeTable, since);

    /// <summary>The table of an interface: the numbers of amazon-vpc-cni-k8s and amazon-ec2-net-utils.</summary>
    public static int TableOf(int networkCard, int deviceIndex) => (networkCard, deviceIndex) switch
    {
        (0, 0) => MainTable,
        (0, _) => deviceIndex + 1,
        _ => 10_000 + 100 * networkCard + deviceIndex,
    };
}
