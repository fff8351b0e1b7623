using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>How one of a pod's interfaces leads out of it, as a value.</summary>
/// <remarks>
/// Everything leaves through a next hop that nobody has, 169.254.1.1. The interface of a second network (Multus) has the next one, and its
/// default route in a table of its own, which only what the pod sends from that interface's address looks up: the pod's default route
/// stays the first network's. Numbers are those of amazon-vpc-cni-k8s for a pod on several network cards.
/// </remarks>
public sealed record PodRouting
{
    /// <summary>Priority, inside the pod, of "from the interface's address: its table".</summary>
    public const int FromAddressPriority = 1;

    private const int MaxIndex = 200; // Below the kernel's own tables (253), and 169.254.1.255.
    private static readonly Ip FirstGateway = Ip.Parse("169.254.1.1");
    private static readonly Cidr Anywhere = Cidr.Parse("0.0.0.0/0");

    private PodRouting(int index)
    {
        (Index, Gateway) = (index, FirstGateway + index);
        var gateway = new Cidr(Gateway, 32);
        Routes = index == 0
            ? [new Route(gateway, null, PodWiring.MainTable), new Route(Anywhere, Gateway, PodWiring.MainTable)] // The next hop first: it must be reachable.
            : [new Route(gateway, null, PodWiring.MainTable), new Route(gateway, null, index), new Route(Anywhere, Gateway, index)];
    }

    /// <summary>Of the interface that the pod's default route leads to.</summary>
    public static PodRouting First { get; } = new(0);

    /// <summary>0 for the first; of another one its table inside the pod.</summary>
    public int Index { get; }

    /// <summary>The next hop that the pod sees. No machine has it.</summary>
    public Ip Gateway { get; }

    internal ImmutableArray<Route> Routes { get; }

    /// <summary>Inside the pod; null for the first.</summary>
    internal Rule? RuleOf(Ip address) => Index == 0 ? null : new Rule(FromAddressPriority, address, null, Index);

    /// <summary>For an interface of a pod. The first one that comes, or eth0 beside another product's, is the default.</summary>
    /// <param name="ifName">Its name in the pod.</param>
    /// <param name="routes">Of the pod's table main, before it has any.</param>
    /// <returns>Null when the pod has as many as numbers allow.</returns>
    internal static PodRouting? For(string ifName, IReadOnlyCollection<Route> routes)
    {
        var taken = routes.Where(route => route.Destination.Length == 32).Select(route => route.Destination.Base).ToHashSet();
        if (!taken.Contains(FirstGateway) && (ifName == PodVeth.FirstIfName || !routes.Any(route => route.Destination.Length == 0)))
        {
            return First;
        }

        var index = Enumerable.Range(1, MaxIndex).FirstOrDefault(index => !taken.Contains(FirstGateway + index));
        return index == 0 ? null : new PodRouting(index);
    }

    /// <summary>The one whose next hop it is; null when it is none of ours.</summary>
    internal static PodRouting? Of(Ip gateway) =>
        !gateway.IsV6 && gateway.Bits >= FirstGateway.Bits && gateway.Bits - FirstGateway.Bits <= MaxIndex ? new PodRouting((int)(gateway.Bits - FirstGateway.Bits)) : null;
}
