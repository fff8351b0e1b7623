using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>Everything that one secondary interface needs in the kernel, as a value, and what is to be done where it differs.</summary>
/// <remarks>
/// The layout is amazon-vpc-cni-k8s's. The interface has a table of its own with nothing but a default route by its subnet's
/// gateway. What the node sends from the interface's own address looks it up (rule 32765), what a pod sends is up to the pod's
/// rule 1536. Table main must not lead there, neither to the subnet nor by default: the VPC drops what leaves by
/// an interface that does not hold the source.
/// <para>Reverse-path filtering is left as the image has it. Strict is right here: for what comes in, the reverse look-up has the
/// pod's (or the interface's own) address as its source, so by the same rules it finds this interface. An address without a pod has no
/// such rule, so strict drops its packets where loose would send them on by the primary interface.</para>
/// </remarks>
internal sealed record InterfaceLayout
{
    /// <summary>Priority of "from the interface's own address: its table".</summary>
    internal const int FromInterfacePriority = 32765;

    private readonly Cidr subnet;

    private InterfaceLayout(InterfaceOrder order)
    {
        var table = PodWiring.TableOf(order.NetworkCard, order.DeviceIndex);
        var gateway = order.SubnetCidr.Base + 1; // A VPC's routers have each subnet's first address.
        subnet = order.SubnetCidr;
        Address = new Address(order.PrimaryAddress, order.SubnetCidr.Length);
        Routes = [new Route(new Cidr(gateway, 32), null, table), new Route(Cidr.Parse("0.0.0.0/0"), gateway, table)]; // The next hop first.
        Rule = new Rule(FromInterfacePriority, order.PrimaryAddress, null, table);
    }

    internal Address Address { get; }

    internal ImmutableArray<Route> Routes { get; }

    internal Rule Rule { get; }

    internal int Table => Rule.Table;

    /// <summary>What the interface of an order needs.</summary>
    /// <exception cref="ArgumentException">It is the primary interface, which the node has set up itself, or not IPv4.</exception>
    internal static InterfaceLayout Of(InterfaceOrder order) =>
        PodWiring.TableOf(order.NetworkCard, order.DeviceIndex) == PodWiring.MainTable
            ? throw new ArgumentException($"{order.EniId} is the primary interface: it has no table of its own.", nameof(order))
        : order.SubnetCidr.Base.IsV6 || !order.SubnetCidr.Contains(order.PrimaryAddress)
            ? throw new ArgumentException($"{order.EniId}: {order.PrimaryAddress} is no address of {order.SubnetCidr}, or no IPv4 one.", nameof(order))
        : new InterfaceLayout(order);

    /// <summary>Pure: what makes the interface so. Nothing when it is so already.</summary>
    internal List<InterfaceStep> StepsTo(InterfaceFound found, int mtu)
    {
        var (link, name) = (found.Link.Index, found.Link.Name);
        var steps = new List<InterfaceStep>();
        if (!found.Link.IsUp)
        {
            steps.Add(new(RepairKind.Link, $"set {name} up", (ref MessageWriter message) => Link.SetUp(ref message, link)));
        }

        // Another program may have given the link what EC2 says it holds. Those addresses are pods', not the node's.
        var foreign = found.Addresses.Where(address => address.Scope == Rtnetlink.RT_SCOPE_UNIVERSE && address != Address).ToList();
        steps.AddRange(foreign.Select(address => new InterfaceStep(
            RepairKind.Address, $"delete address {address} of {name}", (ref MessageWriter message) => address.Delete(ref message, link))));
        if (foreign.Count > 0 || !found.Addresses.Contains(Address)) // The first of a subnet takes the others with it, and the last one the link's routes.
        {
            steps.Add(new(RepairKind.Address, $"add address {Address} to {name}", (ref MessageWriter message) => Address.Replace(ref message, link)));
        }

        steps.AddRange(Routes.Where(route => foreign.Count > 0 || !found.Routes.Contains(route with { Link = link })).Select(route => new InterfaceStep(
            RepairKind.Route, $"add route {route} dev {name}", (ref MessageWriter message) => route.Replace(ref message, link))));
        // The first comes with the address, the second from a DHCP client. Another one may be meant.
        steps.AddRange(found.Routes.Where(route => route.Table == PodWiring.MainTable && ((route.Via is null && route.Destination == subnet) || route.Destination.Length == 0)).Select(route => DeleteRoute(route, found.Link)));
        if (!found.Rules.Contains(Rule))
        {
            steps.Add(new(RepairKind.Rule, $"add rule {Rule}", Rule.Add));
        }

        steps.AddRange(found.Rules.Where(rule => IsOfThis(rule) && rule != Rule).Select(DeleteRule)); // From a time under another device index.
        if (found.Link.Mtu != mtu) // Last: were it refused, another refusal is to be told rather than this.
        {
            steps.Add(new(RepairKind.Link, $"set the MTU of {name} to {mtu}", (ref MessageWriter message) => Link.SetMtu(ref message, link, mtu)) { MayBeRefused = true });
        }

        return steps;
    }

    /// <summary>Pure: what takes the interface out of use, whether its link is still there or not.</summary>
    /// <remarks>Address and link stay as they are; they go when EC2 detaches it. Another interface may have the same table by now.</remarks>
    internal List<InterfaceStep> StepsBack(Link? link, IReadOnlyList<Route> routes, IReadOnlyList<Rule> rules) =>
    [
        .. rules.Where(IsOfThis).Select(DeleteRule),
        .. link is null ? [] : routes.Where(route => route.Table == Table && route.Link == link.Index)
            .OrderBy(route => route.Destination.Length).Select(route => DeleteRoute(route, link)), // The default route before its next hop.
    ];

    private bool IsOfThis(Rule rule) => rule is { Priority: FromInterfacePriority, To: null } && rule.From == Cidr.Single(Address.Ip);

    private static InterfaceStep DeleteRule(Rule rule) => new(RepairKind.Rule, $"delete rule {rule}", rule.Delete);

    private static InterfaceStep DeleteRoute(Route route, Link link) =>
        new(RepairKind.Route, $"delete route {route} dev {link.Name}", (ref MessageWriter message) => route.Delete(ref message, link.Index));
}

/// <summary>What the kernel has of one interface: its link, that link's addresses and routes in table main and its own, and every rule.</summary>
internal sealed record InterfaceFound(Link Link, IReadOnlyList<Address> Addresses, IReadOnlyList<Route> Routes, IReadOnlyList<Rule> Rules);

/// <summary>One change in the kernel.</summary>
/// <param name="Kind">What it is when somebody else has made it necessary.</param>
/// <param name="What">For the error, should it be refused.</param>
internal sealed record InterfaceStep(RepairKind Kind, string What, InterfaceStep.Writer Write)
{
    /// <summary>Pods can use the interface without it.</summary>
    internal bool MayBeRefused { get; init; }

    /// <summary>Adds the change's one message.</summary>
    internal delegate void Writer(ref MessageWriter message);
}
