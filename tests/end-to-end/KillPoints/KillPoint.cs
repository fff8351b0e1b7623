namespace AwsVpcCni.Tests.EndToEnd.KillPoints;

/// <summary>What pods do while an executor is killed, beside coming and going.</summary>
internal enum KillLoad
{
    Pods,

    /// <summary>Each has a second network, as Multus asks for it, and loses it again.</summary>
    SecondNetworks,

    /// <summary>Each has the name of one that is there, and whose DEL comes afterwards.</summary>
    SameNames,

    /// <summary>Each ADD is refused by the kernel when half of it is done.</summary>
    InVain,
}

/// <summary>Where an executor is killed.</summary>
/// <param name="Site">A system call by what it does: one of <see cref="All"/>.</param>
/// <param name="IsAfter">When the call is done and nobody has heard of it; otherwise before the kernel has begun it.</param>
internal sealed record KillPoint(string Site, bool IsAfter)
{
    /// <summary>What ADD and DEL do outside of the executor's process, and what follows by itself: the report, the lease's next
    /// version, the look at the node that the kernel's events cause. Messages to the kernel are told by their types, in one call's order,
    /// and where two places of our code send the same by what came before.</summary>
    public static string[] Sites { get; } =
    [
        .. OfPods, .. OfSecondNetworks, .. OfSameNames, .. OfAddsInVain,
    ];

    private static string[] OfPods =>
    [
        // The plugin asks, and is answered.
        "accept4 plugin", "recvmsg plugin", "sendto plugin", "close plugin",

        // The silo is asked, or told.
        "sendto silo: /node/v1/assign", "sendto silo: /node/v1/release", "sendto silo: /node/v1/sync", "recvfrom silo",

        // The pair of links, and all in the pod that needs no address.
        "setns a pod's namespace", "setns the node's namespace",
        "sendto netlink host: NEWLINK", "recvfrom netlink host: answers to NEWLINK",
        "sendto netlink host: GETLINK of the new one", "recvfrom netlink host: answers to GETLINK of the new one",
        "sendto netlink pod: GETLINK", "recvfrom netlink pod: answers to GETLINK",
        "openat sysctl accept_ra", "pwrite64 sysctl accept_ra",
        "sendto netlink host: SETLINK", "recvfrom netlink host: answers to SETLINK",
        "sendto netlink pod: SETLINK+NEWROUTE+NEWROUTE+NEWNEIGH", "recvfrom netlink pod: answers to SETLINK+NEWROUTE+NEWROUTE+NEWNEIGH",

        // The claim, and what makes the address the pod's.
        "openat store lease", "pwrite64 store lease: claimed",
        "sendto netlink host: SETLINK+NEWROUTE+NEWRULE", "recvfrom netlink host: answers to SETLINK+NEWROUTE+NEWRULE",
        "sendto netlink host: SETLINK+NEWROUTE+NEWRULE+NEWRULE", "recvfrom netlink host: answers to SETLINK+NEWROUTE+NEWRULE+NEWRULE", // Of a secondary interface.
        "sendto netlink pod: NEWADDR", "recvfrom netlink pod: answers to NEWADDR",

        // DEL: the claim's end, rules and route, then the link, then the rest of the address begins.
        "pwrite64 store lease: ended",
        "sendto netlink host: GETLINK", "recvfrom netlink host: answers to GETLINK",
        "sendto netlink host: GETROUTE", "recvfrom netlink host: answers to GETROUTE",
        "sendto netlink host: DELRULE+DELRULE+DELRULE+DELROUTE", "recvfrom netlink host: answers to DELRULE+DELRULE+DELRULE+DELROUTE",
        "sendto netlink host: DELLINK", "recvfrom netlink host: answers to DELLINK",
        "sendto netfilter: GETCONNECTIONS", "recvfrom netfilter: answers to GETCONNECTIONS",
        "sendto netfilter: DELCONNECTION", "recvfrom netfilter: answers to DELCONNECTION",
        "pwrite64 store lease: freed",

        // The lease's next version.
        "unlink store lease.new", "openat store lease.new", "pwrite64 store lease.new", "fchmod store lease.new", "fsync store lease.new", "rename store lease.new", "fsync store folder",

        // The look at pods, node and table after events.
        "recvfrom netlink events",
        "sendto netlink host: GETLINKS", "recvfrom netlink host: answers to GETLINKS",
        "sendto netlink host: GETROUTES", "recvfrom netlink host: answers to GETROUTES",
        "sendto netlink host: GETRULES", "recvfrom netlink host: answers to GETRULES",
        "sendto netfilter: NFTABLES", "recvmsg netfilter",
    ];

    private static string[] OfSecondNetworks =>
    [
        "sendto netlink pod: GETROUTES", "recvfrom netlink pod: answers to GETROUTES",
        "sendto netlink pod: SETLINK+NEWROUTE+NEWROUTE+NEWROUTE+NEWNEIGH", "recvfrom netlink pod: answers to SETLINK+NEWROUTE+NEWROUTE+NEWROUTE+NEWNEIGH",
        "sendto netlink pod: DELRULE before the new one", "recvfrom netlink pod: answers to DELRULE before the new one",
        "sendto netlink pod: NEWRULE", "recvfrom netlink pod: answers to NEWRULE",
        "sendto netlink pod: DELRULE", "recvfrom netlink pod: answers to DELRULE",
    ];

    private static string[] OfSameNames =>
    [
        "sendto netlink host: DELLINK of one of the same name", "recvfrom netlink host: answers to DELLINK of one of the same name",
        "sendto netlink host: DELRULE+DELRULE+DELRULE", "recvfrom netlink host: answers to DELRULE+DELRULE+DELRULE",
    ];

    private static string[] OfAddsInVain => ["sendto netlink host: DELLINK to undo", "recvfrom netlink host: answers to DELLINK to undo"];

    /// <summary>Calls that need not come in an ADD or a DEL: HTTP/2's own, those of a connection's begin and end, and an interface's that comes or goes.</summary>
    public static string[] AtTimes { get; } =
    [
        "sendto silo", "connect nobody", "connect silo", "shutdown silo", "close silo",
        "sendto netlink host: GETADDRS", "recvfrom netlink host: answers to GETADDRS",
        "sendto netlink host: SETLINK+NEWADDR+NEWROUTE+NEWROUTE+NEWRULE", "recvfrom netlink host: answers to SETLINK+NEWADDR+NEWROUTE+NEWROUTE+NEWRULE",
        "sendto netlink host: DELRULE+DELROUTE+DELROUTE", "recvfrom netlink host: answers to DELRULE+DELROUTE+DELROUTE",
    ];

    /// <summary>Both sides of each call.</summary>
    public static KillPoint[] All { get; } = [.. Sites.SelectMany(site => new[] { new KillPoint(site, false), new KillPoint(site, true) })];

    /// <summary>The call and what it is made on, without its content.</summary>
    public string Kind => Site.Split(':')[0];

    /// <summary>What must be going on, so that the call comes.</summary>
    public KillLoad Load => OfSecondNetworks.Contains(Site) ? KillLoad.SecondNetworks : OfSameNames.Contains(Site) ? KillLoad.SameNames
        : OfAddsInVain.Contains(Site) ? KillLoad.InVain : KillLoad.Pods;

    public override string ToString() => (IsAfter ? "after " : "before ") + Site;
}
