using System.Text.Json;

namespace AwsVpcCni.VpcEmulator.Control;

/// <summary>What has been called. A line is in the file before its answer leaves, so whoever has the answer can read it there.</summary>
public sealed class CallLog(string? path) : IDisposable
{
    private const int Kept = 100_000; // In memory; the file has all.
    private readonly Lock _lock = new();
    private readonly Queue<CallEntry> _entries = [];
    private readonly StreamWriter? _file = path is null ? null : new StreamWriter(path, append: false) { AutoFlush = true };
    private long _sequence;

    internal long NextSequence() => Interlocked.Increment(ref _sequence);

    /// <param name="after">Those with a higher sequence number.</param>
    public IReadOnlyList<CallEntry> Entries(long after = 0)
    {
        lock (_lock)
        {
            return [.. _entries.Where(entry => entry.Sequence > after)];
        }
    }

    public void Dispose() => _file?.Dispose();

    internal void Add(CallEntry entry)
    {
        lock (_lock)
        {
            if (_entries.Count == Kept)
            {
                _entries.Dequeue();
            }

            _entries.Enqueue(entry);
            _file?.WriteLine(JsonSerializer.Serialize(entry, CallEntry.Json));
        }
    }
}
