using System.Collections.Concurrent;
using AwsVpcCni.Grains.Storage;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;

namespace AwsVpcCni.Silo.Storage.Sqlite;

/// <summary>The embedded store: requests from any thread, run one after the other on the store's own, which may block.</summary>
/// <remarks>Requests that come while a commit is under way share the next one, so that 20 ADDs at once cost few fsyncs. Each
/// keeps its own outcome, and ends only after the commit.</remarks>
internal sealed partial class Database : IDisposable
{
    private const int QueueBound = 2000;
    private const int BatchBound = 250;

    private readonly BlockingCollection<Request> _queue = new(QueueBound);
    private readonly DatabaseFile _file;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly Thread _thread;
    private long _commits;

    private readonly SqliteMetrics? _metrics;

    private Database(DatabaseFile file, TimeProvider time, ILogger log, SqliteMetrics? metrics)
    {
        _metrics = metrics;
        _file = file;
        _time = time;
        _log = log;
        _thread = new Thread(Loop) { Name = "sqlite", IsBackground = true };
        _thread.Start();
    }

    /// <summary>How many transactions were committed since the start.</summary>
    public long Commits => Interlocked.Read(ref _commits);

    /// <summary>Opens the file, or makes it.</summary>
    /// <exception cref="StoreException">What is wrong with the file, and what to do.</exception>
    public static Database Open(string path, TimeProvider time, ILogger? log = null, SqliteMetrics? metrics = null) => new(DatabaseFile.Open(path), time, log ?? NullLogger.Instance, metrics);

    /// <summary>Runs <paramref name="work"/> in a transaction; the task ends after its commit.</summary>
    /// <param name="what">What is tried, with its ids; for the error.</param>
    /// <param name="deadline">For all: the wait in the queue, the work, the commit.</param>
    /// <param name="work">Its statements share the transaction with other requests': when one fails, what those before it have changed stays. Its
    /// exception is the task's.</param>
    /// <exception cref="StoreException">No room in the queue, out of time, or SQLite refused.</exception>
    public async Task<T> RunAsync<T>(string what, TimeSpan deadline, Func<Session, T> work, CancellationToken cancellation)
    {
        try
        {
            return await TryAsync(what, deadline, work, cancellation);
        }
        catch (StoreException failure) when (!_queue.IsAddingCompleted)
        {
            _metrics?.Failed(failure);
            throw;
        }
    }

    private async Task<T> TryAsync<T>(string what, TimeSpan deadline, Func<Session, T> work, CancellationToken cancellation)
    {
        var began = _time.GetTimestamp();
        var request = new Request<T>(what, work);
        try
        {
            if (!_queue.TryAdd(request))
            {
                throw new StoreException($"{what}: {QueueBound} requests wait for the store already. Try again; if it goes on, the disk is too slow.");
            }
        }
        catch (InvalidOperationException e)
        {
            throw new StoreException($"{what}: the store is closed, the silo is stopping. Ask another silo.", e);
        }

        try
        {
            var result = await request.Done.WaitAsync(deadline, _time, cancellation);
            LogDone(what, (long)_time.GetElapsedTime(began).TotalMicroseconds);
            return result;
        }
        catch (TimeoutException e)
        {
            throw new StoreException(
                request.TryAbandon()
                    ? $"{what}: not tried, its turn did not come within {deadline.TotalMilliseconds:0} ms. Try again; if it goes on, the disk is too slow."
                    : $"{what}: not known to have happened within {deadline.TotalMilliseconds:0} ms. Try again; if it goes on, the disk is too slow.",
                e);
        }
        catch (OperationCanceledException)
        {
            request.TryAbandon();
            throw;
        }
    }

    /// <summary>Finishes what is queued, then closes the file.</summary>
    public void Dispose()
    {
        if (!_queue.IsAddingCompleted)
        {
            _queue.CompleteAdding();
            _thread.Join();
            _file.Dispose();
            _queue.Dispose();
        }
    }

    private void Loop()
    {
        using var session = new Session(_file.Connection);
        List<Request> batch = [];
        foreach (var first in _queue.GetConsumingEnumerable())
        {
            batch.Clear();
            batch.Add(first);
            while (batch.Count < BatchBound && _queue.TryTake(out var next))
            {
                batch.Add(next);
            }

            RunBatch(session, batch);
        }
    }

    private void RunBatch(Session session, List<Request> batch)
    {
        batch.RemoveAll(request => !request.TryStart());
        try
        {
            session.Execute("BEGIN IMMEDIATE");
            foreach (var request in batch)
            {
                request.Run(session);
            }

            session.Execute("COMMIT");
        }
        catch (SqliteException e)
        {
            TryRollBack(session);
            batch.ForEach(request => request.Fail(e));
            return;
        }

        Interlocked.Increment(ref _commits);
        batch.ForEach(request => request.Succeed());
    }

    private static void TryRollBack(Session session)
    {
        try
        {
            session.Execute("ROLLBACK");
        }
        catch (SqliteException)
        {
            // SQLite has rolled back already (a full disk, an I/O error): there is nothing to undo.
        }
    }

    [LoggerMessage(EventId = 3301, Level = LogLevel.Debug, Message = "Done, on disk: {What}, in {Microseconds} us.")]
    private partial void LogDone(string what, long microseconds);

    private abstract class Request
    {
        private int _state; // 0 queued, 1 started, 2 abandoned.

        public bool TryStart() => Interlocked.CompareExchange(ref _state, 1, 0) == 0;

        public bool TryAbandon() => Interlocked.CompareExchange(ref _state, 2, 0) == 0;

        public abstract void Run(Session session);

        public abstract void Succeed();

        public abstract void Fail(SqliteException e);
    }

    private sealed class Request<T>(string what, Func<Session, T> work) : Request
    {
        // Asynchronously: the store's thread must not run its callers' code.
        private readonly TaskCompletionSource<T> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private T? _result;
        private Exception? _failure;

        public Task<T> Done => _done.Task;

        public override void Run(Session session)
        {
            try
            {
                _result = work(session);
            }
            catch (Exception e)
            {
                _failure = e is SqliteException refused ? Refused(refused) : e;
            }
        }

        public override void Succeed()
        {
            if (_failure is null)
            {
                _done.SetResult(_result!);
            }
            else
            {
                SetFailure(_failure);
            }
        }

        public override void Fail(SqliteException e) => SetFailure(_failure ?? Refused(e));

        private void SetFailure(Exception failure)
        {
            _done.SetException(failure);
            // Its caller may have given up; then nobody looks, and that is fine.
            _ = _done.Task.Exception;
        }

        private StoreException Refused(SqliteException e) =>
            new($"{what}: SQLite refused ({e.Message}). Check the room on the disk and the file's permissions; if it is damaged, restart the silo, which then says what to do.", e);
    }
}
