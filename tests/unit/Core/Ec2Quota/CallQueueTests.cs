using System.Globalization;
using AwsVpcCni.Core.Ec2Quota;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Ec2Quota;

public sealed class CallQueueTests
{
    private const CallPriority Pod = CallPriority.PodWaiting;
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan Wait = TimeSpan.FromSeconds(4);

    [Fact]
    public void Who_asks_again_keeps_its_place_and_who_comes_later_stands_behind()
    {
        var queue = CallQueue.Empty.With("a", Pod, Wait, Start).With("b", Pod, Wait, Start).With("a", Pod, Wait, Start);
        Assert.Equal((0, 1, 2, 2), (queue.Ahead("a", Pod, Start), queue.Ahead("b", Pod, Start), queue.Ahead("new", Pod, Start), queue.Ahead("", Pod, Start)));
        Assert.Equal(0, queue.Without("a").Ahead("b", Pod, Start));
        Assert.Equal(1, queue.Without("a").With("a", Pod, Wait, Start).Ahead("a", Pod, Start)); // It has had its turn.
    }

    [Fact]
    public void How_long_one_has_waited_is_told_from_its_first_place_on()
    {
        var queue = CallQueue.Empty.With("a", Pod, Wait, Start).With("a", Pod, Wait, Start.AddSeconds(3));
        Assert.Equal((7, 0, 0), (queue.WaitedBy("a", Start.AddSeconds(7)).TotalSeconds, queue.WaitedBy("a", Start.AddSeconds(-1)).TotalSeconds, queue.WaitedBy("b", Start.AddSeconds(7)).TotalSeconds));
        Assert.Equal(TimeSpan.Zero, queue.Without("a").WaitedBy("a", Start.AddSeconds(7)));
    }

    [Fact]
    public void Another_need_has_a_queue_of_its_own() =>
        Assert.Equal(0, CallQueue.Empty.With("a", CallPriority.WarmPool, Wait, Start).Ahead("b", Pod, Start));

    [Theory]
    [InlineData(9, 1)] // 5 s after the wait that it was told.
    [InlineData(9.1, 0)]
    [InlineData(-3600, 0)] // A clock that went back: nobody is known to come at all.
    public void Who_stays_away_holds_the_others_up_for_seconds_only(double after, int ahead) =>
        Assert.Equal(ahead, CallQueue.Empty.With("gone", Pod, Wait, Start).Ahead("b", Pod, Start.AddSeconds(after)));

    [Fact]
    public void Who_has_lost_its_place_gets_the_last_one()
    {
        var later = Start.AddSeconds(20);
        var queue = CallQueue.Empty.With("late", Pod, Wait, Start).With("b", Pod, Wait * 10, Start);
        Assert.Equal(1, queue.Ahead("late", Pod, later));
        Assert.Equal(0, queue.With("late", Pod, Wait, later).Ahead("b", Pod, later));
    }

    [Fact]
    public void There_are_no_more_places_than_its_bound()
    {
        var queue = Enumerable.Range(0, CallQueue.Most + 5).Aggregate(CallQueue.Empty, (all, n) => all.With(n.ToString("d6", CultureInfo.InvariantCulture), Pod, Wait, Start));
        Assert.Equal(CallQueue.Most, queue.Ahead("", Pod, Start));
        Assert.Equal(7, queue.With("000007", Pod, Wait, Start).Ahead("000007", Pod, Start));
    }

    [Theory]
    [InlineData(3, 3)]
    [InlineData(180, 10)]
    public void A_turn_that_is_far_away_is_asked_for_now_and_then(double wait, double again) =>
        Assert.Equal(TimeSpan.FromSeconds(again), CallQueue.AskAgain(TimeSpan.FromSeconds(wait)));

    /// <summary>Each of all who wait asks every few seconds, so what an ask costs must not grow with them: by the logarithm only.</summary>
    [Fact]
    public void An_ask_costs_hardly_more_when_ten_thousand_wait()
    {
        var (few, many) = (AskMicroseconds(500), AskMicroseconds(CallQueue.Most));
        TestContext.Current.SendDiagnosticMessage($"an ask takes {few:0.0} us when 500 wait, {many:0.0} us when {CallQueue.Most} do");
        Assert.InRange(many / few, 0, 8); // A walk through all: 20.
    }

    /// <summary>Of the best of some rounds: a round may share its core.</summary>
    private static double AskMicroseconds(int waiting)
    {
        string[] askers = [.. Enumerable.Range(0, waiting).Select(n => $"i-{n:x17}")];
        var queue = askers.Aggregate(CallQueue.Empty, (all, asker) => all.With(asker, Pod, Wait, Start));
        return Enumerable.Range(0, 8).Min(round =>
        {
            var began = TimeProvider.System.GetTimestamp();
            for (var n = 0; n < 200; n++)
            {
                var asker = askers[((round * 200) + n) * 7 % waiting];
                queue = queue.Ahead(asker, Pod, Start) < 0 ? queue : queue.With(asker, Pod, Wait, Start);
            }

            return TimeProvider.System.GetElapsedTime(began).TotalMicroseconds / 200;
        });
    }

    /// <summary>Askers come at random times and back when told, up to a second late: each is served in the order of arrival, and no permit is left over.</summary>
    [Fact]
    public void All_who_come_back_are_served_in_the_order_in_which_they_came() =>
        Gen.Select(Gen.Int[1, 120], Gen.Int[0, 10_000]).Sample((count, seed) =>
        {
            var random = new Random(seed);
            var (queue, tokens, now) = (CallQueue.Empty, 0.0, Start);
            var asks = new PriorityQueue<string, DateTimeOffset>();
            var came = new List<string>();
            for (var n = 0; n < count; n++)
            {
                asks.Enqueue($"i-{n}", Start.AddSeconds(random.NextDouble() * 5));
            }

            List<string> served = [];
            while (asks.TryDequeue(out var asker, out var at))
            {
                tokens += 4 * (at - now).TotalSeconds;
                now = at;
                if (!came.Contains(asker))
                {
                    came.Add(asker);
                }

                var ahead = queue.Ahead(asker, Pod, now);
                if (Math.Floor(tokens) - ahead >= 1)
                {
                    (tokens, queue) = (tokens - 1, queue.Without(asker));
                    served.Add(asker);
                    continue;
                }

                var wait = CallQueue.AskAgain(TimeSpan.FromSeconds((1 + ahead - tokens) / 4));
                queue = queue.With(asker, Pod, wait, now);
                asks.Enqueue(asker, now + wait + TimeSpan.FromSeconds(random.NextDouble()));
            }

            // One that is a second late is passed by those whose permits are there too: by no more than a second's worth.
            return served.Count == count && served.Index().All(one => Math.Abs(one.Index - came.IndexOf(one.Item)) <= 10) && now < Start.AddSeconds((count / 4.0) + 7);
        });
}
