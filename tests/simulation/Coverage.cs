using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Tests.Simulation.Faults;

namespace AwsVpcCni.Tests.Simulation;

/// <summary>Which faults have struck in a run, and which of EC2's they have struck at which action.</summary>
internal sealed class Coverage
{
    private static readonly FaultKind[] OfEc2 =
        [FaultKind.Throttled, FaultKind.NotAuthorized, FaultKind.Ec2ErrorBefore, FaultKind.Ec2ErrorAfter, FaultKind.Ec2Silent, FaultKind.Ec2Late];

    // Asked only for types that are newer than the table, and no such one is here.
    private static readonly Ec2Action[] Actions = [.. Enum.GetValues<Ec2Action>().Except([Ec2Action.DescribeInstanceTypes])];

    private readonly HashSet<FaultKind> _kinds = [];
    private readonly HashSet<(FaultKind, Ec2Action)> _pairs = [];

    /// <summary>How many have struck.</summary>
    public int Met => _kinds.Count + _pairs.Count;

    public void Add(SeedResult result)
    {
        _kinds.UnionWith(result.Struck.Keys);
        _pairs.UnionWith(result.OnEc2.Keys);
    }

    /// <summary>What has not.</summary>
    public List<string> Gaps() =>
    [
        .. Enum.GetValues<FaultKind>().Except(_kinds).Select(kind => kind.ToString()),
        .. from kind in OfEc2 from action in Actions where !_pairs.Contains((kind, action)) select $"{kind} x {action}",
    ];
}
