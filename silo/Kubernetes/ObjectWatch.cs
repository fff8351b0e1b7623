using System.Net;
using k8s;
using k8s.Autorest;
using k8s.Models;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>Follows all objects of one kind: lists them in pages, then watches from there; a watch that ends goes on where it was, and one that the API server no longer can serve (410) begins with a list again.</summary>
/// <param name="what">For the log.</param>
/// <param name="list">One page, from a continue token (null: the first).</param>
/// <param name="watch">The changes from a resource version on, with bookmarks, for so many seconds.</param>
internal sealed partial class ObjectWatch<T>(
    string what,
    Func<string?, CancellationToken, Task<(IEnumerable<T> Items, V1ListMeta Meta)>> list,
    Func<string, int, Action<Exception>, CancellationToken, IAsyncEnumerable<(WatchEventType Type, T Item)>> watch,
    IFollower<T> follower, TimeProvider time, Random random, ILogger logger)
    where T : IMetadata<V1ObjectMeta>
{
    private const int LongestWatchSeconds = 300;
    private static readonly TimeSpan PageDeadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LongestSilence = TimeSpan.FromSeconds(130); // API servers send a bookmark each minute; two that do not come are a connection that has died unheard.
    private static readonly TimeSpan ShortestWait = TimeSpan.FromSeconds(2); // Half of it at least, by chance.
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ShortWatch = TimeSpan.FromSeconds(5); // One that ends sooner is no reason to ask again at once.

    private string? _version;
    private TimeSpan _wait;
    private bool _isAway;

    /// <summary>Until it is told to end.</summary>
    public async Task FollowAsync(CancellationToken stopping)
    {
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                _version ??= await ListAsync(stopping);
                var began = time.GetTimestamp();
                await WatchAsync(stopping);
                (_wait, _isAway) = (time.GetElapsedTime(began) < ShortWatch ? Longer() : TimeSpan.Zero, false);
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (IsTooOld(e))
            {
                LogTooOld(what);
                (_version, _wait, _isAway) = (null, Longer(), false); // Some proxies say it each time.
            }
            catch (Exception e) when (ApiServer.IsAway(e))
            {
                if (!_isAway)
                {
                    LogAway(what, ApiServer.Describe(e)); // Once an outage.
                }

                (_wait, _isAway) = (Longer(), true);
            }

            // Silos that lost the API server together do not come back together.
            await Task.Delay(TimeSpan.FromMilliseconds(100) + (_wait * (0.5 + (random.NextDouble() / 2))), time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private TimeSpan Longer() => TimeSpan.FromSeconds(Math.Clamp(2 * _wait.TotalSeconds, ShortestWait.TotalSeconds, LongestWait.TotalSeconds));

    private async Task<string> ListAsync(CancellationToken stopping)
    {
        var all = new List<T>();
        string? token = null;
        do
        {
            using var deadline = new CancellationTokenSource(PageDeadline, time); // Of each page: how many there are is the cluster's size.
            using var either = CancellationTokenSource.CreateLinkedTokenSource(stopping, deadline.Token);
            var (items, meta) = await list(token, either.Token);
            all.AddRange(items);
            token = meta.ContinueProperty;
            if (string.IsNullOrEmpty(token))
            {
                follower.Reset(all);
                LogListed(what, all.Count);
                return meta.ResourceVersion;
            }
        }
        while (true);
    }

    private async Task WatchAsync(CancellationToken stopping)
    {
        using var silence = new CancellationTokenSource(LongestSilence, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stopping, silence.Token);
        Exception? error = null;
        try
        {
            var seconds = (LongestWatchSeconds / 2) + random.Next(LongestWatchSeconds / 2);
            await foreach (var (type, item) in watch(_version!, seconds, Stop, either.Token).WithCancellation(either.Token))
            {
                silence.CancelAfter(LongestSilence);
                (_wait, _isAway) = (TimeSpan.Zero, false);
                if (type is WatchEventType.Added or WatchEventType.Modified)
                {
                    follower.Put(item);
                }
                else if (type == WatchEventType.Deleted)
                {
                    follower.Remove(item);
                }

                _version = item.Metadata.ResourceVersion; // A bookmark's, too: that is what it is for.
            }
        }
        catch (OperationCanceledException) when (error is not null)
        {
            // Told below.
        }
        catch (OperationCanceledException e) when (silence.IsCancellationRequested && !stopping.IsCancellationRequested)
        {
            throw new IOException($"for {LongestSilence.TotalSeconds} s nothing has come, and no bookmark.", e);
        }

        if (error is not null)
        {
            throw error;
        }

        void Stop(Exception e)
        {
            error = e;
            either.Cancel();
        }
    }

    private static bool IsTooOld(Exception e) => e is KubernetesException { Status.Code: 410 } or HttpOperationException { Response.StatusCode: HttpStatusCode.Gone };

    [LoggerMessage(EventId = 3501, Level = LogLevel.Information, Message = "{What}: {Count} listed; from here on they are watched.")]
    private partial void LogListed(string what, int count);

    [LoggerMessage(EventId = 3502, Level = LogLevel.Information, Message = "{What}: the API server no longer has the changes since the last one seen; they are listed again.")]
    private partial void LogTooOld(string what);

    [LoggerMessage(EventId = 3503, Level = LogLevel.Warning, Message = "{What}: the API server does not answer: {Why} What is known holds until it does; it is tried again, each half a minute at last.")]
    private partial void LogAway(string what, string why);
}

/// <summary>Who is told of objects by an <see cref="ObjectWatch{T}"/>; never two calls at once.</summary>
internal interface IFollower<T>
{
    /// <summary>These are all.</summary>
    void Reset(IReadOnlyList<T> items);

    /// <summary>New or changed.</summary>
    void Put(T item);

    /// <summary>Gone, as it was last.</summary>
    void Remove(T item);
}
