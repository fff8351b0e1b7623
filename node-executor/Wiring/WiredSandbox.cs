using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>What one ADD has wired: what a CNI result needs.</summary>
/// <param name="HostVeth">The host end's name.</param>
/// <param name="HostMac">Its link-layer address, lower case with colons.</param>
/// <param name="PodMac">That of the pod's end.</param>
/// <param name="Displaced">The sandbox that had a link of this name, if one had: a pod of the same name whose DEL has not
/// come yet. Its link is gone; its rules go with its own DEL.</param>
public sealed record WiredPod(string HostVeth, string HostMac, string PodMac, SandboxKey? Displaced)
{
    /// <summary>How the interface leads out of the pod.</summary>
    public PodRouting Routing { get; init; } = PodRouting.First;
}

/// <summary>Something of ours that is in the kernel, as <see cref="Inventory"/> reads it or as an ADD's outcome.</summary>
/// <param name="Sandbox">The owner. Null when the kernel names none: a half-wired link, rules without a link, or another program's pod.</param>
/// <param name="HostVeth">Null when only rules are left.</param>
/// <param name="Address">Null when a half-wired link has no route yet.</param>
/// <param name="RouteTable">That the pod's traffic looks up; <see cref="PodWiring.MainTable"/> without a rule for it.</param>
/// <param name="Since">When it was wired, by the machine's clock then; null when the kernel names no owner.</param>
/// <param name="Pod">namespace/name for people, perhaps cut short; empty when the kernel names no owner.</param>
public sealed record WiredSandbox(SandboxKey? Sandbox, string? HostVeth, Ip? Address, int RouteTable, DateTimeOffset? Since, string Pod)
{
    /// <summary>Its wiring has not ended well, or others have changed the alias, so a link of its name without one is taken for its own.</summary>
    public bool MayLackAlias { get; init; }

    /// <summary>What <see cref="Wirer.Wire"/> has made of a wiring, to undo it later.</summary>
    public static WiredSandbox Of(PodWiring wiring) =>
        new(wiring.Sandbox, wiring.HostVeth, wiring.Address, wiring.RouteTable, wiring.Alias.Since, wiring.Alias.Pod);
}

/// <summary>A pod that the lease knows, for finding its link when others have changed what that says of its owner.</summary>
public sealed record ClaimedPod(SandboxKey Sandbox, PodName Pod, Ip Address)
{
    /// <summary>The name alone is no proof: another sandbox of the same pod, before or after it, has a link of that name. Nobody is routed without an alias.</summary>
    internal bool Has(Link link, IReadOnlyList<Route> routes) =>
        VethName.IsSame(link.Name, VethName.Of(Sandbox, Pod)) && routes.Contains(new Route(Cidr.Single(Address), null, PodWiring.MainTable) { Link = link.Index });
}
