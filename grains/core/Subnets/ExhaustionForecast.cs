namespace AwsVpcCni.Core.Subnets;

/// <summary>When a subnet will have no free address any more, if things go on as they went. Null: not within <see cref="ExhaustionForecast.Horizon"/>.</summary>
/// <param name="Early">One in ten is earlier.</param>
/// <param name="Median">As likely before as after.</param>
/// <param name="Late">One in ten is later.</param>
public sealed record DryTime(TimeSpan? Early, TimeSpan? Median, TimeSpan? Late);

/// <summary>When a subnet runs dry, by how it was used before. Pure, and the same for the same history.</summary>
/// <remarks>
/// Each of two hundred futures is put together from pieces of the past, of one to three days, each beginning at the time of day that it stands for: so the
/// futures have the day's course, the trend, the steps and the bursts that the past had, without a model of any of these. Two hundred times of
/// running dry tell how sure it is. Where the past is shorter than two days, pieces begin at any time of it, and are at most half as long as it.
/// </remarks>
public static class ExhaustionForecast
{
    /// <summary>Farther nothing is said.</summary>
    public static readonly TimeSpan Horizon = TimeSpan.FromDays(7);

    /// <summary>A shorter past says nothing.</summary>
    public static readonly TimeSpan LeastPast = TimeSpan.FromHours(2);

    private const int Futures = 200;
    private const int Sooner = Futures / 10;
    private const int Slots = 7 * UsageHistory.SlotsADay;
    private const int Day = UsageHistory.SlotsADay;

    /// <summary>Says when it runs dry.</summary>
    /// <param name="history">Its last figure is of now.</param>
    /// <param name="used">Addresses that are used now.</param>
    /// <param name="room">Addresses that can be used, all in all.</param>
    /// <returns>Null: the past is too short.</returns>
    public static DryTime? Of(UsageHistory history, int used, long room)
    {
        if (used >= room)
        {
            return new DryTime(TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero);
        }

        var past = history.Most.AsSpan();
        if (past.Length * UsageHistory.Slot <= LeastPast)
        {
            return null;
        }

        var random = new Random(1); // No chance is meant: always the same futures of the same past.
        var dry = new double[Futures]; // In slots.
        foreach (ref var one in dry.AsSpan())
        {
            one = DryIn(past, room - used, random);
        }

        Array.Sort(dry);
        return new DryTime(Time(dry[Sooner]), Time(dry[Futures / 2]), Time(dry[^(Sooner + 1)]));
    }

    private static double DryIn(ReadOnlySpan<int> past, long free, Random random)
    {
        double gone = 0; // Of what is free.
        for (var slot = 0; slot < Slots;)
        {
            var (begin, length) = Piece(past.Length, slot, random);
            for (var end = Math.Min(slot + length, Slots); slot < end; slot++, begin++)
            {
                double more = past[begin + 1] - past[begin];
                if (gone + more >= free)
                {
                    return slot + ((free - gone) / more);
                }

                gone += more;
            }
        }

        return double.PositiveInfinity;
    }

    /// <summary>A piece of the past, and how many slots of it.</summary>
    private static (int Begin, int Length) Piece(int past, int slot, Random random)
    {
        if (past <= 2 * Day)
        {
            var begin = random.Next(past - 1);
            return (begin, Math.Min(past - 1 - begin, random.Next(1, (past / 2) + 1)));
        }

        // Slots before now that have the time of day of this slot: so many, and whole days more.
        var back = Day - (slot % Day);
        back += Day * random.Next(1 + ((past - 1 - back) / Day));
        return (past - 1 - back, Math.Min(back, random.Next(Day, (3 * Day) + 1)));
    }

    private static TimeSpan? Time(double slots) => double.IsInfinity(slots) ? null : slots * UsageHistory.Slot;
}
