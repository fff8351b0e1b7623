using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Tests.Simulation.Faults;

namespace AwsVpcCni.Tests.Simulation;

/// <summary>Which faults have struck in a run, which of EC2's they have struck at which action, and at which awaits of the node's grain it was killed.</summary>
internal static class Coverage
{
    private static readonly FaultKind[] OfEc2 =
        [FaultKind.Throttled, FaultKind.NotAuthorized, FaultKind.Ec2ErrorBefore, FaultKind.Ec2ErrorAfter, FaultKind.Ec2Silent, FaultKind.Ec2Late];

    /// <summary>All that a long run must meet.</summary>
    public static IReadOnlyCollection<string> Wanted { get; } =
    [
        .. Enum.GetNames<FaultKind>(), .. from kind in OfEc2 from action in Enum.GetValues<Ec2Action>() select $"{kind} x {action}",
        .. Awaits.InOrder.Select(NameOf),
    ];

    /// <summary>What a seed has met.</summary>
    public static IEnumerable<string> Of(SeedResult result) =>
        [.. result.Struck.Keys.Select(kind => kind.ToString()), .. result.OnEc2.Keys.Select(pair => $"{pair.Item1} x {pair.Item2}"), .. result.KilledAt.Select(NameOf)];

    private static string NameOf((Type, int) at) => $"killed at {Awaits.All[at]}";
}
