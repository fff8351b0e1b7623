using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text.Json;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Grains.Storage;
using Orleans.Storage;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>Who holds an address, in memory. Outlives grains, not the process.</summary>
/// <param name="now">By which the history gets too old.</param>
public sealed class MemoryAddressBook(Func<DateTimeOffset> now) : IAddressBook
{
    private static readonly TimeSpan HistoryKept = TimeSpan.FromDays(30); // As Storage:HistoryKept by default.

    private readonly Lock _lock = new();
    private readonly SortedDictionary<(string NodeId, Ip Address), AddressRow> _rows = [];
    private readonly SortedDictionary<(Ip Address, DateTimeOffset Since), AddressRow> _history = [];
    private int _failures;

    /// <summary>The next writes take effect, and their answers are lost.</summary>
    public void LoseAnswers(int count) => _failures = count;

    /// <summary>Awaited between an assignment's effect and its answer.</summary>
    public Func<AddressRow, Task>? BeforeAnswer { get; set; }

    /// <summary>Awaited before a release has its effect.</summary>
    public Func<AddressRow, Task>? BeforeRelease { get; set; }

    public Task<ImmutableArray<AddressRow>> ReadNodeAsync(string nodeId, CancellationToken cancellation)
    {
        lock (_lock)
        {
            return Task.FromResult<ImmutableArray<AddressRow>>([.. _rows.Values.Where(row => row.NodeId == nodeId)]);
        }
    }

    public Task<AddressRow?> TryAssignAsync(AddressRow row, CancellationToken cancellation)
    {
        lock (_lock)
        {
            if (_rows.GetValueOrDefault((row.NodeId, row.Address)) is { Released: null } standing)
            {
                return Task.FromResult(standing.Stamp == row.Stamp && standing.Sandbox == row.Sandbox ? null : standing);
            }

            _rows[(row.NodeId, row.Address)] = row;
            return BeforeAnswer is null ? Answer<AddressRow?>(null) : AnswerLaterAsync(row);
        }
    }

    private async Task<AddressRow?> AnswerLaterAsync(AddressRow row)
    {
        await BeforeAnswer!(row);
        return null;
    }

    public async Task<bool> TryReleaseAsync(AddressRow ended, CancellationToken cancellation)
    {
        await (BeforeRelease?.Invoke(ended) ?? Task.CompletedTask);
        return await ReleaseAsync(ended, cancellation);
    }

    private Task<bool> ReleaseAsync(AddressRow ended, CancellationToken cancellation)
    {
        lock (_lock)
        {
            _history.TryAdd((ended.Address, ended.Since), ended);
            return TryWithdrawAsync(ended, cancellation);
        }
    }

    public Task<bool> TryWithdrawAsync(AddressRow offer, CancellationToken cancellation)
    {
        lock (_lock)
        {
            if (_rows.GetValueOrDefault((offer.NodeId, offer.Address)) is not { } row || row.Sandbox != offer.Sandbox || row.Stamp > offer.Stamp)
            {
                return Task.FromResult(false);
            }

            _rows[(offer.NodeId, offer.Address)] = row with { Released = row.Released ?? offer.Released };
            return Answer(true);
        }
    }

    public Task<bool> TryRemoveAsync(string nodeId, Ip address, CancellationToken cancellation)
    {
        lock (_lock)
        {
            if (_rows.GetValueOrDefault((nodeId, address)) is { Released: null })
            {
                return Task.FromResult(false);
            }

            _rows.Remove((nodeId, address));
            return Answer(true);
        }
    }

    public Task<ImmutableArray<AddressRow>> ReadHistoryAsync(Ip address, DateTimeOffset from, DateTimeOffset to, CancellationToken cancellation)
    {
        lock (_lock)
        {
            var kept = now() - HistoryKept;
            return Task.FromResult<ImmutableArray<AddressRow>>([.. _history.Values.Where(row => row.Address == address && row.Released >= (from > kept ? from : kept) && row.Since <= to)]);
        }
    }

    /// <summary>All rows as they are now.</summary>
    public AddressRow[] Copy()
    {
        lock (_lock)
        {
            return [.. _rows.Values];
        }
    }

    /// <summary>They are as they were again.</summary>
    public void Restore(AddressRow[] copy)
    {
        lock (_lock)
        {
            _rows.Clear();
            foreach (var row in copy)
            {
                _rows[(row.NodeId, row.Address)] = row;
            }
        }
    }

    private Task<T> Answer<T>(T answer)
    {
        if (_failures == 0)
        {
            return Task.FromResult(answer);
        }

        _failures--;
        throw new StoreException("the answer was lost, as the test wished");
    }
}

/// <summary>Grain documents in memory, as the JSON that every provider writes, with compare-and-swap.</summary>
public sealed class MemoryDocuments : IGrainStorage
{
    private readonly ConcurrentDictionary<(string Name, GrainId Grain), (int Etag, string? Json)> _documents = [];
    private int _writes; // Of all documents: no tag comes again, also when they are restored.

    public Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        (var json, grainState.ETag) = Read(stateName, grainId);
        grainState.RecordExists = json is not null;
        grainState.State = json is null ? Activator.CreateInstance<T>() : DocumentJson.Read<T>(json, stateName, grainId);
        return Task.CompletedTask;
    }

    /// <summary>Writes of this kind of document have no answer.</summary>
    public string? AwayFor { get; set; }

    /// <summary>Awaited before a document of this name is written.</summary>
    public Func<string, Task>? BeforeWrite { get; set; }

    public async Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        if (stateName == AwayFor)
        {
            throw new StoreException("the store is away, as the test wished");
        }

        if (BeforeWrite is { } before)
        {
            await before(stateName);
        }

        grainState.ETag = Write(stateName, grainId, JsonSerializer.Serialize(grainState.State, DocumentJson.Options), grainState.ETag);
        grainState.RecordExists = true;
    }

    public Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        // The tag goes on from here, so that an old one does not fit what is written next.
        grainState.ETag = Write(stateName, grainId, null, grainState.ETag);
        (grainState.ETag, grainState.RecordExists, grainState.State) = (null!, false, Activator.CreateInstance<T>());
        return Task.CompletedTask;
    }

    /// <summary>What stands there; a null document has a null tag.</summary>
    public (string? Json, string Etag) Read(string stateName, GrainId grainId) =>
        _documents.TryGetValue((stateName, grainId), out var found) && found.Json is not null ? (found.Json, found.Etag.ToString(null, null)) : (null, null!);

    /// <summary>Replaces the version with this tag.</summary>
    /// <param name="json">Null: there is no document any more.</param>
    /// <param name="etag">Null: there is none yet.</param>
    /// <returns>The new tag.</returns>
    public string Write(string stateName, GrainId grainId, string? json, string? etag)
    {
        lock (_documents)
        {
            var standing = _documents.GetValueOrDefault((stateName, grainId));
            if (etag != (standing.Json is null ? null : standing.Etag.ToString(null, null)))
            {
                throw new InconsistentStateException($"{grainId}: another one wrote first", standing.Etag.ToString(null, null), etag);
            }

            _documents[(stateName, grainId)] = (++_writes, json);
            return _writes.ToString(null, null);
        }
    }

    /// <summary>Another one writes: the next compare-and-swap of whoever has read before is lost.</summary>
    public void Touch(string stateName, GrainId grainId) =>
        _documents.AddOrUpdate((stateName, grainId), _ => throw new InvalidOperationException("no such document"), (_, one) => (Interlocked.Increment(ref _writes), one.Json));

    /// <summary>All documents as they are now.</summary>
    public KeyValuePair<(string Name, GrainId Grain), (int Etag, string? Json)>[] Copy() => [.. _documents];

    /// <summary>They are as they were again.</summary>
    public void Restore(KeyValuePair<(string Name, GrainId Grain), (int Etag, string? Json)>[] copy)
    {
        lock (_documents)
        {
            _documents.Clear();
            foreach (var (key, document) in copy)
            {
                _documents[key] = document;
            }
        }
    }
}
