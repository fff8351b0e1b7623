using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Storage;

/// <summary>What every provider's address book must do. One small class for each provider.</summary>
public abstract class AddressBookContract
{
    private const string Node = "i-0000000000000001";
    private static readonly DateTimeOffset Noon = new(2026, 11, 25, 12, 0, 0, 123, TimeSpan.Zero);
    private static readonly Ip Address = Ip.Parse("10.0.0.9");

    // The history goes back from now.
    private static readonly DateTimeOffset Today = new(TimeProvider.System.GetUtcNow().UtcDateTime.Date.AddDays(-1), TimeSpan.Zero);

    private protected abstract IAddressBook Book { get; }

    /// <summary>A book that has nothing of the first one's memory, only what that stored.</summary>
    private protected abstract IAddressBook Reopen();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_row_is_read_back_as_it_was_written_also_after_a_restart()
    {
        var row = Row(Address, "a", 1) with { Since = Noon.AddTicks(7) };
        Assert.Null(await Book.TryAssignAsync(row, Cancellation));

        Assert.Equal(row, Assert.Single(await Book.ReadNodeAsync(Node, Cancellation)));
        Assert.Equal(row, Assert.Single(await Reopen().ReadNodeAsync(Node, Cancellation)));
    }

    [Fact]
    public async Task Rows_come_by_address_as_numbers_and_of_the_asked_node_only()
    {
        foreach (var address in new[] { "10.0.0.10", "fd00::1", "10.0.0.9", "9.0.0.200" })
        {
            await Book.TryAssignAsync(Row(Ip.Parse(address), address, 1), Cancellation);
        }

        await Book.TryAssignAsync(Row(Address, "other", 1) with { NodeId = "i-0000000000000002" }, Cancellation);

        var rows = await Book.ReadNodeAsync(Node, Cancellation);
        Assert.Equal(["9.0.0.200", "10.0.0.9", "10.0.0.10", "fd00::1"], rows.Select(row => row.Address.ToString()));
    }

    [Fact]
    public async Task An_address_that_another_sandbox_has_is_not_assigned_and_the_standing_row_is_told()
    {
        var first = Row(Address, "a", 1);
        await Book.TryAssignAsync(first, Cancellation);

        Assert.Equal(first, await Book.TryAssignAsync(Row(Address, "b", 2), Cancellation));
        Assert.Equal(first, Assert.Single(await Book.ReadNodeAsync(Node, Cancellation)));
    }

    [Fact]
    public async Task Our_own_write_sent_again_is_success_and_changes_nothing()
    {
        var row = Row(Address, "a", 1);
        await Book.TryAssignAsync(row, Cancellation);

        Assert.Null(await Book.TryAssignAsync(row with { Since = Noon.AddSeconds(5) }, Cancellation));
        Assert.Equal(row, Assert.Single(await Book.ReadNodeAsync(Node, Cancellation)));
    }

    [Theory]
    [InlineData("a", 2)] // Same sandbox, another request.
    [InlineData("b", 1)] // Same number, another sandbox: not ours.
    public async Task A_row_is_our_own_only_with_the_same_stamp_and_sandbox(string container, long number)
    {
        await Book.TryAssignAsync(Row(Address, "a", 1), Cancellation);

        Assert.NotNull(await Book.TryAssignAsync(Row(Address, container, number), Cancellation));
    }

    [Fact]
    public async Task A_released_row_keeps_its_holder_and_can_be_assigned_again()
    {
        var first = Row(Address, "a", 1);
        await Book.TryAssignAsync(first, Cancellation);
        Assert.True(await ReleaseAsync("a", 2, Noon.AddMinutes(1)));
        Assert.Equal(first with { Released = Noon.AddMinutes(1) }, Assert.Single(await Book.ReadNodeAsync(Node, Cancellation)));

        var second = Row(Address, "b", 3);
        Assert.Null(await Book.TryAssignAsync(second, Cancellation));
        Assert.Equal(second, Assert.Single(await Reopen().ReadNodeAsync(Node, Cancellation)));
    }

    [Fact]
    public async Task A_second_release_is_success_and_keeps_the_first_time()
    {
        await Book.TryAssignAsync(Row(Address, "a", 1), Cancellation);
        await ReleaseAsync("a", 2, Noon.AddMinutes(1));

        Assert.True(await ReleaseAsync("a", 2, Noon.AddMinutes(9)));
        Assert.Equal(Noon.AddMinutes(1), Assert.Single(await Book.ReadNodeAsync(Node, Cancellation)).Released);
    }

    [Theory]
    [InlineData("b", 1, 9)] // Another sandbox's.
    [InlineData("a", 1, 4)] // The row is younger than the release.
    [InlineData("a", 0, 9)] // The incarnation counts before the number.
    public async Task A_release_does_not_touch_a_row_that_is_not_its_own(string container, long incarnation, long number)
    {
        await Book.TryAssignAsync(Row(Address, "a", 5), Cancellation);

        Assert.False(await ReleaseAsync(container, new Stamp(incarnation, number), Noon));
        Assert.Null(Assert.Single(await Book.ReadNodeAsync(Node, Cancellation)).Released);
    }

    [Theory]
    [InlineData(1, 9, 1, 10)] // As text, 10 would come before 9.
    [InlineData(9, 10, 10, 9)]
    [InlineData(1, 9, 1, 9)]
    [InlineData(1, long.MaxValue - 1, 1, long.MaxValue)]
    public async Task A_release_ends_a_row_that_is_not_younger(long incarnation, long number, long endIncarnation, long endNumber)
    {
        await Book.TryAssignAsync(Row(Address, "a", 1) with { Stamp = new Stamp(incarnation, number) }, Cancellation);

        Assert.True(await ReleaseAsync("a", new Stamp(endIncarnation, endNumber), Noon));
    }

    [Fact]
    public async Task A_row_of_a_pod_without_a_name_is_kept()
    {
        var row = Row(Address, "a", 1) with { Pod = new PodName("", "", "") };
        await Book.TryAssignAsync(row, Cancellation);

        Assert.Equal(row, Assert.Single(await Reopen().ReadNodeAsync(Node, Cancellation)));
    }

    [Fact]
    public async Task A_release_without_a_row_says_so() => Assert.False(await ReleaseAsync("a", 2, Noon));

    [Fact]
    public async Task Only_a_released_row_is_removed()
    {
        await Book.TryAssignAsync(Row(Address, "a", 1), Cancellation);
        Assert.False(await Book.TryRemoveAsync(Node, Address, Cancellation));

        await ReleaseAsync("a", 2, Noon);
        Assert.True(await Book.TryRemoveAsync(Node, Address, Cancellation));
        Assert.Empty(await Book.ReadNodeAsync(Node, Cancellation));
        Assert.True(await Book.TryRemoveAsync(Node, Address, Cancellation)); // There is none any more: nothing to do.
    }

    [Fact]
    public async Task Of_many_that_want_one_address_at_once_exactly_one_gets_it()
    {
        var wishes = Enumerable.Range(1, 32).Select(number => Row(Address, $"sandbox-{number}", number)).ToList();

        var standing = await Task.WhenAll(wishes.Select(row => Task.Run(() => Book.TryAssignAsync(row, Cancellation))));

        var winner = Assert.Single(await Book.ReadNodeAsync(Node, Cancellation));
        Assert.Equal(wishes.Single(row => row == winner), wishes[Array.IndexOf(standing, null)]);
        Assert.Equal(31, standing.Count(row => row == winner));
    }

    [Fact]
    public async Task Of_many_that_take_and_release_one_address_in_turns_never_two_have_it()
    {
        const int Takers = 8, Turns = 5;
        var (holders, most, turns, numbers) = (0, 0, 0, 0L);
        Lock mostLock = new();
        async Task TakeTurnsAsync(string container)
        {
            for (var turn = 0; turn < Turns;)
            {
                var number = Interlocked.Increment(ref numbers);
                if (await Book.TryAssignAsync(Row(Address, container, number), Cancellation) is { } standing)
                {
                    Assert.NotEqual(container, standing.Sandbox.ContainerId);
                    continue;
                }

                lock (mostLock)
                {
                    most = Math.Max(most, Interlocked.Increment(ref holders));
                }

                Assert.Equal(container, Assert.Single(await Book.ReadNodeAsync(Node, Cancellation)).Sandbox.ContainerId);
                Interlocked.Decrement(ref holders);
                Assert.True(await ReleaseAsync(container, Interlocked.Increment(ref numbers), Noon));
                Interlocked.Increment(ref turns);
                turn++;
            }
        }

        await Task.WhenAll(Enumerable.Range(1, Takers).Select(taker => Task.Run(() => TakeTurnsAsync($"sandbox-{taker}"))));

        Assert.Equal((1, Takers * Turns), (most, turns));
    }

    [Fact]
    public async Task Who_has_had_an_address_is_told_also_after_its_row_has_gone()
    {
        var first = Row(Address, "a", 1) with { Since = Today.AddTicks(7), Released = Today.AddMinutes(1) };
        var second = Row(Address, "b", 3) with { NodeId = "i-0000000000000002", Since = Today.AddMinutes(2), Released = Today.AddMinutes(3) };
        foreach (var ended in new[] { first, second })
        {
            Assert.Null(await Book.TryAssignAsync(ended with { Released = null }, Cancellation));
            Assert.True(await Book.TryReleaseAsync(ended, Cancellation));
            Assert.True(await Book.TryRemoveAsync(ended.NodeId, Address, Cancellation));
        }

        Assert.Equal([first, second], await Reopen().ReadHistoryAsync(Address, Today, Today.AddHours(1), Cancellation));
        Assert.Equal([first], await Book.ReadHistoryAsync(Address, Today, Today.AddSeconds(119), Cancellation));
        Assert.Equal([first], await Book.ReadHistoryAsync(Address, Today.AddMinutes(1), Today.AddMinutes(1), Cancellation)); // Both ends belong to it.
        Assert.Equal([second], await Book.ReadHistoryAsync(Address, Today.AddSeconds(61), Today.AddMinutes(2), Cancellation));
        Assert.Empty(await Book.ReadHistoryAsync(Address, Today.AddSeconds(61), Today.AddSeconds(119), Cancellation));
        Assert.Empty(await Book.ReadHistoryAsync(Ip.Parse("10.0.0.90"), Today, Today.AddHours(1), Cancellation));
    }

    [Fact]
    public async Task The_first_end_of_an_assignment_stands_in_the_history_and_one_that_is_not_in_the_book_is_written_all_the_same()
    {
        var row = Row(Address, "a", 1) with { Since = Today };
        var ended = row with { Released = Today.AddMinutes(1) };
        await Book.TryAssignAsync(row, Cancellation);
        await Book.TryReleaseAsync(ended, Cancellation);
        await Book.TryReleaseAsync(ended with { Released = Today.AddMinutes(9) }, Cancellation);
        Assert.Equal([ended], await Book.ReadHistoryAsync(Address, Today, Today.AddHours(1), Cancellation));

        var lost = Row(Ip.Parse("10.0.0.10"), "b", 1) with { Since = Today, Released = Today.AddMinutes(1) };
        Assert.False(await Book.TryReleaseAsync(lost, Cancellation));
        Assert.Equal([lost], await Book.ReadHistoryAsync(lost.Address, Today, Today.AddHours(1), Cancellation));
    }

    [Fact]
    public async Task What_has_ended_too_long_ago_is_told_no_more()
    {
        var kept = new StorageOptions().HistoryKept;
        var tooOld = Row(Address, "a", 1) with { Since = Today - kept - TimeSpan.FromDays(2), Released = Today - kept - TimeSpan.FromDays(1) };
        var old = Row(Address, "b", 2) with { Since = tooOld.Released.Value.AddMinutes(1), Released = Today - kept + TimeSpan.FromDays(2) }; // Its end counts.
        foreach (var ended in new[] { tooOld, old })
        {
            await Book.TryReleaseAsync(ended, Cancellation);
        }

        Assert.Equal([old], await Book.ReadHistoryAsync(Address, DateTimeOffset.MinValue, DateTimeOffset.MaxValue, Cancellation));
        Assert.Empty(await Reopen().ReadHistoryAsync(Address, tooOld.Since, tooOld.Released.Value, Cancellation));
    }

    [Fact]
    public async Task An_offer_that_is_withdrawn_ends_its_row_and_is_in_no_history()
    {
        var row = Row(Address, "a", 2) with { Since = Today };
        await Book.TryAssignAsync(row, Cancellation);
        Assert.False(await Book.TryWithdrawAsync(row with { Stamp = new Stamp(1, 1), Released = Today.AddMinutes(1) }, Cancellation)); // An earlier ADD of it.
        Assert.True(await Book.TryWithdrawAsync(row with { Released = Today.AddMinutes(1) }, Cancellation));

        Assert.Equal(Today.AddMinutes(1), Assert.Single(await Book.ReadNodeAsync(Node, Cancellation)).Released);
        Assert.Empty(await Book.ReadHistoryAsync(Address, Today, Today.AddHours(1), Cancellation));
    }

    private Task<bool> ReleaseAsync(string container, long number, DateTimeOffset released) =>
        ReleaseAsync(container, new Stamp(1, number), released);

    private Task<bool> ReleaseAsync(string container, Stamp stamp, DateTimeOffset released) =>
        Book.TryReleaseAsync(Row(Address, container, 0) with { Stamp = stamp, Released = released }, Cancellation);

    private static AddressRow Row(Ip address, string container, long number) => new()
    {
        NodeId = Node,
        Address = address,
        Sandbox = new SandboxKey(container, "eth0"),
        Pod = new PodName("default", $"pod-{container}", "uid"),
        Stamp = new Stamp(1, number),
        Since = Noon,
    };
}
