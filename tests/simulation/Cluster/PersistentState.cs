using System.Text.Json;
using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Tests.Simulation.Cluster;

/// <summary>A grain's document. As Orleans' own: never two writes at once; a call before the queued write has started shares it, and the
/// state is taken when it starts.</summary>
internal sealed class PersistentState<T> : IPersistentState<T>
    where T : new()
{
    private readonly SimStore _store;
    private readonly Activation _activation;
    private readonly string _name;
    private Task _tail = Task.CompletedTask;
    private Task? _notStarted;

    public PersistentState(SimStore store, Activation activation, string name)
    {
        (_store, _activation, _name) = (store, activation, name);
        activation.Reads.Add(ReadStateAsync);
    }

    public T State { get; set; } = new();

    public string Etag { get; private set; } = null!;

    public bool RecordExists { get; private set; }

    public async Task ReadStateAsync()
    {
        (var json, Etag) = await _store.ReadAsync(_activation, _name);
        RecordExists = json is not null;
        State = json is null ? new T() : JsonSerializer.Deserialize<T>(json, DocumentJson.Options)!;
    }

    public Task WriteStateAsync() => _tail = _notStarted ??= WriteAfterAsync(_tail);

    /// <summary>No write of its grain is under way then.</summary>
    public async Task ClearStateAsync()
    {
        await _store.WriteAsync(_activation, _name, null, new T(), Etag);
        (State, Etag, RecordExists) = (new T(), null!, false);
    }

    private async Task WriteAfterAsync(Task before)
    {
        await Task.Yield();
#pragma warning disable CA1031 // Its own callers see that failure.
        try
        {
            await before;
        }
        catch (Exception)
        {
            // This write is tried all the same, as Orleans does.
        }
#pragma warning restore CA1031

        _notStarted = null;
        Etag = await _store.WriteAsync(_activation, _name, JsonSerializer.Serialize(State, DocumentJson.Options), State, Etag);
        RecordExists = true;
    }
}
