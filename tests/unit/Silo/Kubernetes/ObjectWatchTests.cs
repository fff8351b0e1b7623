using System.Runtime.CompilerServices;
using System.Threading.Channels;
using AwsVpcCni.Silo.Kubernetes;
using k8s;
using k8s.Models;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Silo.Kubernetes;

/// <summary>When what does not answer is given up. What an API server answers is in tests/cluster/Kubernetes (NodeWatchTests).</summary>
public sealed class ObjectWatchTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly FakeTimeProvider _time = new();
    private readonly Channel<string> _watchesFrom = Channel.CreateUnbounded<string>();
    private readonly Channel<int> _pages = Channel.CreateUnbounded<int>();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact] // Bookmarks come each minute; three of them, and then none.
    public async Task A_watch_that_is_silent_is_begun_anew_where_it_was_after_130_s()
    {
        var events = Channel.CreateUnbounded<string>();
        using var stop = new CancellationTokenSource();
        var following = FollowAsync((_, _) => Task.FromResult(Page("7", null)), events, stop.Token);

        Assert.Equal("7", await NextAsync(_watchesFrom));
        foreach (var version in new[] { 8, 9, 10 })
        {
            await UntilAsync(() => _armed == version - 7);
            _time.Advance(TimeSpan.FromSeconds(60));
            events.Writer.TryWrite($"{version}");
        }

        await UntilAsync(() => _armed == 4);
        _time.Advance(TimeSpan.FromSeconds(129));
        Assert.False(_watchesFrom.Reader.TryRead(out _));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("10", await NextAsync(_watchesFrom, TimeSpan.FromSeconds(1))); // After the wait of a failure; and without a list.
        Assert.Equal(1, _pages.Reader.Count);
        await stop.CancelAsync();
        await following;
    }

    [Fact]
    public async Task Each_page_of_a_list_has_30_s()
    {
        TaskCompletionSource<(IEnumerable<V1Node>, V1ListMeta)>[] pages = [new(), new(), new()];
        using var stop = new CancellationTokenSource();
        var following = FollowAsync((token, cancellation) => pages[token is null ? 0 : int.Parse(token, System.Globalization.CultureInfo.InvariantCulture)].Task.WaitAsync(cancellation), Channel.CreateUnbounded<string>(), stop.Token);
        foreach (var page in new[] { 0, 1, 2 })
        {
            Assert.Equal(page, await NextAsync(_pages));
            _time.Advance(TimeSpan.FromSeconds(20));
            pages[page].SetResult(Page("7", page == 2 ? null : $"{page + 1}"));
        }

        Assert.Equal("7", await NextAsync(_watchesFrom));
        Assert.Equal(0, _pages.Reader.Count); // Nothing was begun again.
        await stop.CancelAsync();
        await following;
    }

    private int _armed; // Events asked for.

    private Task FollowAsync(Func<string?, CancellationToken, Task<(IEnumerable<V1Node>, V1ListMeta)>> list, Channel<string> events, CancellationToken stopping) => new ObjectWatch<V1Node>(
        "Nodes",
        (token, cancellation) =>
        {
            _pages.Writer.TryWrite(token is null ? 0 : int.Parse(token, System.Globalization.CultureInfo.InvariantCulture));
            return list(token, cancellation);
        },
        (version, _, _, cancellation) => WatchAsync(version, events.Reader, cancellation), new Nobody(), _time, new Random(1), NullLogger.Instance).FollowAsync(stopping);

    private async IAsyncEnumerable<(WatchEventType, V1Node)> WatchAsync(string version, ChannelReader<string> events, [EnumeratorCancellation] CancellationToken cancellation)
    {
        _watchesFrom.Writer.TryWrite(version);
        while (true)
        {
            Interlocked.Increment(ref _armed);
            yield return (WatchEventType.Bookmark, new V1Node { Metadata = new V1ObjectMeta { ResourceVersion = await events.ReadAsync(cancellation) } });
        }
    }

    private static (IEnumerable<V1Node>, V1ListMeta) Page(string version, string? next) => ([], new V1ListMeta { ResourceVersion = version, ContinueProperty = next });

    /// <param name="step">By which the clock goes on meanwhile.</param>
    private async Task<T> NextAsync<T>(Channel<T> channel, TimeSpan step = default)
    {
        var next = channel.Reader.ReadAsync(Cancellation).AsTask();
        await UntilAsync(() =>
        {
            _time.Advance(step);
            return next.IsCompleted;
        });
        return await next;
    }

    private static async Task UntilAsync(Func<bool> isSo)
    {
        var end = TimeProvider.System.GetUtcNow() + Patience;
        while (!isSo())
        {
            Assert.True(TimeProvider.System.GetUtcNow() < end, "not in time");
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, Cancellation);
        }
    }

    private sealed class Nobody : IFollower<V1Node>
    {
        public void Reset(IReadOnlyList<V1Node> items)
        {
        }

        public void Put(V1Node item)
        {
        }

        public void Remove(V1Node item)
        {
        }
    }
}
