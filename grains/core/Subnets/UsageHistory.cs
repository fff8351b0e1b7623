using System.Collections.Immutable;

namespace AwsVpcCni.Core.Subnets;

/// <summary>How much of a subnet was used: for each half hour of the last two weeks the most. Pure; with a silo that was away the last figure goes on.</summary>
public sealed record UsageHistory
{
    /// <summary>What one figure is of.</summary>
    public static readonly TimeSpan Slot = TimeSpan.FromMinutes(30);

    /// <summary>Of one day.</summary>
    public const int SlotsADay = 48;

    /// <summary>Two weeks: each day of the week twice.</summary>
    public const int MostSlots = 14 * SlotsADay;

    /// <summary>When the last slot began. UTC.</summary>
    public DateTimeOffset LastSlot { get; init; }

    /// <summary>The most addresses that were used in a slot, oldest first.</summary>
    public ImmutableArray<int> Most { get; init; } = [];

    /// <summary>So much more is used than so long ago, or less; null when the past is shorter.</summary>
    /// <param name="back">In whole slots: what is left over is passed over.</param>
    public int? ChangeOver(TimeSpan back) => (int)(back / Slot) is var slots && Most.Length > slots ? Most[^1] - Most[^(slots + 1)] : null;

    /// <summary>With what is used now. The same object when that is no news.</summary>
    /// <param name="now">A clock that went back counts for the last slot.</param>
    /// <param name="used">Addresses.</param>
    public UsageHistory With(DateTimeOffset now, int used)
    {
        var slot = new DateTimeOffset(now.UtcTicks - (now.UtcTicks % Slot.Ticks), TimeSpan.Zero);
        var passed = Most.IsEmpty ? long.MaxValue : (slot - LastSlot).Ticks / Slot.Ticks;
        return passed switch
        {
            <= 0 => used <= Most[^1] ? this : this with { Most = Most.SetItem(Most.Length - 1, used) },
            >= MostSlots => new UsageHistory { LastSlot = slot, Most = [used] },
            _ => new UsageHistory { LastSlot = slot, Most = [.. Most.Concat(Enumerable.Repeat(Most[^1], (int)passed - 1)).Append(used).TakeLast(MostSlots)] },
        };
    }
}
