using AwsVpcCni.Core.Pool;
using AwsVpcCni.Core.Subnets;

namespace AwsVpcCni.Grains.Node;

/// <content>What ledgers have said of their subnets: how much is left, and what they ask back for others' pods.</content>
public sealed partial class NodeGrain
{
    private static readonly TimeSpan LevelHolds = TimeSpan.FromMinutes(2); // It is said again with each share, each half minute.
    private static readonly TimeSpan LongestSilence = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan RecallHolds = TimeSpan.FromSeconds(30); // Then the ledger asks again, if it is still so.

    private readonly Dictionary<string, (SubnetLevel Level, DateTimeOffset At)> _levels = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (int Addresses, DateTimeOffset At)> _recalled = new(StringComparer.Ordinal);
    private Recall? _lastRecall;

    /// <inheritdoc/>
    public Task LevelAsync(string subnetId, SubnetLevel level, int recalled)
    {
        var now = time.GetUtcNow();
        if (LevelOf(subnetId, now) != level)
        {
            LogLeft(InstanceId, subnetId, level);
            Kick();
        }

        _levels[subnetId] = (level, now);
        if (recalled > 0)
        {
            LogRecalled(InstanceId, recalled, subnetId);
            _recalled[subnetId] = (recalled, now);
            _lastRecall = new Recall(subnetId, recalled, now);
            Kick();
        }

        if (_waiters.Count > 0 && _rooms.TryGetValue(subnetId, out var room))
        {
            _rooms[subnetId] = room with { At = DateTimeOffset.MinValue }; // There may be some now.
            Kick();
        }

        return Task.CompletedTask;
    }

    private SubnetLevel LevelOf(string subnetId, DateTimeOffset now) =>
        Policy.Thrift && _levels.TryGetValue(subnetId, out var said) && (now - said.At).Duration() < LevelHolds ? said.Level : SubnetLevel.Plenty;

    private int RecalledFrom(string subnetId, DateTimeOffset now) => _recalled.TryGetValue(subnetId, out var asked) && (now - asked.At).Duration() < RecallHolds ? asked.Addresses : 0;

    /// <summary>An executor reports each ten seconds: of one that does not, nobody knows whether its pods still wait.</summary>
    private bool IsSilent => _report is null || (time.GetUtcNow() - _reportAt).Duration() > LongestSilence;

    /// <summary>With what a ledger that is short must know: what the node would draw besides, and what it could give.</summary>
    private SubnetShare WithThrift(SubnetShare share, string subnetId, DateTimeOffset now)
    {
        if (LevelOf(subnetId, now) == SubnetLevel.Plenty || !Policy.Provisions || IsHeld)
        {
            return share;
        }

        var state = State(now);
        // Of what it is kept from, none could be here where it has no room, and may not have a new interface.
        var mayDraw = !IsExcluded(subnetId) && (state.Enis.Any(eni => eni.Subnet.SubnetId == subnetId && eni.Room + eni.Leaving > 0)
            || (state.NewInterfaces + state.Removing > 0 && state.NewIn.Any(subnet => subnet.SubnetId == subnetId)));
        return share with { Withheld = mayDraw ? PoolThrift.Withheld(state, Policy) : 0, Spare = IsSilent || !MayTake(subnetId) || (IsNetworkUnknown && subnetId == _doc.Home) ? 0 : PoolThrift.Spare(state, Policy, subnetId) };
    }
}
