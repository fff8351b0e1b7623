using System.Collections.Immutable;
using System.Text.RegularExpressions;
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
public sealed partial record PodWiring
{
    /// <summary>Priority of "to the pod: table main".</summary>
    public const int ToPodPriority = 512;

    /// <summary>Priority of "from the pod: its interface's table".</summary>
    public const int FromPodPriority = 1536;

    /// <summary>RT_TABLE_MAIN, linux/rtnetlink.h.</summary>
    public const int MainTable = Rtnetlink.RT_TABLE_MAIN;

    private PodWiring(SandboxKey sandbox, PodName pod, Ip address, int routeTable, int mtu, DateTimeOffset since)
    {
        (Sandbox, Pod, Address, RouteTable, Mtu) = (sandbox, pod, address, routeTable, mtu);
        HostVeth = VethName.Of(sandbox, pod);
        Alias = new LinkAlias(sandbox, address, since, pod.ToString());
    }

    /// <summary>Whose wiring it is.</summary>
    public SandboxKey Sandbox { get; }

    /// <summary>What people call it.</summary>
    public PodName Pod { get; }

    /// <summary>The pod's address.</summary>
    public Ip Address { get; }

    /// <summary>The table of the interface that holds the address; <see cref="MainTable"/> for the primary one.</summary>
    public int RouteTable { get; }

    /// <summary>Of both ends, in bytes.</summary>
    public int Mtu { get; }

    /// <summary>The host end's name.</summary>
    public string HostVeth { get; }

    /// <summary>What the host end says about its owner.</summary>
    public LinkAlias Alias { get; }

    /// <summary>The next hop that pods see. No machine has it.</summary>
    public static Ip Gateway { get; } = Ip.Parse("169.254.1.1");

    internal static ImmutableArray<Route> PodRoutes { get; } =
    [
        new Route(new Cidr(Gateway, 32), null, MainTable), // First: the default route's next hop must be reachable.
        new Route(Cidr.Parse("0.0.0.0/0"), Gateway, MainTable),
    ];

    internal Route HostRoute => new(new Cidr(Address, 32), null, MainTable);

    internal ImmutableArray<Rule> HostRules => RouteTable == MainTable
        ? [new Rule(ToPodPriority, null, Address, MainTable)]
        : [new Rule(ToPodPriority, null, Address, MainTable), new Rule(FromPodPriority, Address, null, RouteTable)];

    /// <summary>What the wiring of one sandbox is.</summary>
    /// <param name="routeTable">From <see cref="TableOf"/>.</param>
    /// <param name="mtu">Bytes; 576 to 9001.</param>
    /// <param name="since">Now, UTC. Kept in the alias.</param>
    /// <exception cref="ArgumentException">A name that the kernel, or the alias, cannot hold. The message is for the runtime's user.</exception>
    public static PodWiring Of(SandboxKey sandbox, PodName pod, Ip address, int routeTable, int mtu, DateTimeOffset since)
    {
        if (!ContainerIdPattern().IsMatch(sandbox.ContainerId) || sandbox.ContainerId.Length > LinkAlias.MaxContainerIdLength)
        {
            throw new ArgumentException(
                $"Container id '{sandbox.ContainerId}' has {sandbox.ContainerId.Length} characters; up to {LinkAlias.MaxContainerIdLength} letters, digits, dots, dashes and underscores are possible.");
        }

        if (!InterfaceNamePattern().IsMatch(sandbox.IfName) || sandbox.IfName is "." or ".." or "lo")
        {
            throw new ArgumentException(
                $"Interface name '{sandbox.IfName}' has {sandbox.IfName.Length} characters; the kernel takes up to {Link.MaxNameLength}, without blank, slash and colon, and 'lo' is taken.");
        }

        if (address.IsV6)
        {
            throw new ArgumentException($"{address}: only IPv4 pods can be wired.");
        }

        return new PodWiring(sandbox, pod, address, routeTable, mtu, since);
    }

    /// <summary>The table of an interface: the numbers of amazon-vpc-cni-k8s and amazon-ec2-net-utils.</summary>
    public static int TableOf(int networkCard, int deviceIndex) => (networkCard, deviceIndex) switch
    {
        (0, 0) => MainTable,
        (0, _) => deviceIndex + 1,
        _ => 10_000 + 100 * networkCard + deviceIndex,
    };

    [GeneratedRegex("^[a-zA-Z0-9][a-zA-Z0-9_.-]*\\z")]
    private static partial Regex ContainerIdPattern();

    [GeneratedRegex("^[!-~-[/:]]{1,15}\\z")] // dev_valid_name and veth: printable, IFNAMSIZ - 1.
    private static partial Regex InterfaceNamePattern();
}
