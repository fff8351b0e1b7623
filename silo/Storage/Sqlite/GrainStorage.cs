using System.Globalization;
using System.Text.Json;
using AwsVpcCni.Grains.Storage;
using Microsoft.Extensions.Options;
using AwsVpcCni.Silo.Options;
using Orleans.Storage;

namespace AwsVpcCni.Silo.Storage.Sqlite;

/// <summary>Grains' documents as JSON, each written only over the version that the grain has read.</summary>
/// <remarks>The ETag is a number that only goes up. A cleared document leaves its number behind, so that an activation
/// from before cannot take a later document for its own.</remarks>
internal sealed class GrainStorage(Database database, IOptions<StorageOptions> options) : IGrainStorage
{
    private readonly TimeSpan _deadline = options.Value.DocumentDeadline;

    /// <inheritdoc/>
    /// <exception cref="StoreException">The store does not answer, or the document is not one of this version.</exception>
    public async Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        var stored = await RunAsync("read", stateName, grainId, session => Read(session, stateName, grainId));
        grainState.State = stored?.Body is { } body ? DocumentJson.Read<T>(body, stateName, grainId) : Activator.CreateInstance<T>();
        grainState.ETag = stored?.Version.ToString(CultureInfo.InvariantCulture);
        grainState.RecordExists = stored?.Body is not null;
    }

    /// <inheritdoc/>
    /// <exception cref="InconsistentStateException">Another activation has written since; nothing is changed.</exception>
    public Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState) =>
        ReplaceAsync("write", stateName, grainId, grainState, JsonSerializer.Serialize(grainState.State, DocumentJson.Options));

    /// <inheritdoc/>
    /// <exception cref="InconsistentStateException">Another activation has written since; nothing is changed.</exception>
    public async Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        await ReplaceAsync("clear", stateName, grainId, grainState, null);
        grainState.State = Activator.CreateInstance<T>();
    }

    private async Task ReplaceAsync<T>(string verb, string stateName, GrainId grainId, IGrainState<T> grainState, string? body)
    {
        var expected = grainState.ETag is { } tag ? long.Parse(tag, CultureInfo.InvariantCulture) : 0;
        var changed = await RunAsync(verb, stateName, grainId, session =>
            session.Execute(
                expected == 0
                    ? "INSERT INTO documents (name, grain, version, body) VALUES ($name, $grain, $expected + 1, $body) ON CONFLICT DO NOTHING"
                    : "UPDATE documents SET version = $expected + 1, body = $body WHERE name = $name AND grain = $grain AND version = $expected",
                ("$name", stateName), ("$grain", grainId.ToString()), ("$expected", expected), ("$body", body)) == 1
                ? null
                : new Conflict(Read(session, stateName, grainId)?.Version));
        if (changed is { } conflict)
        {
            throw new InconsistentStateException(
                $"{stateName} of {grainId}: another activation has written since (stored version {conflict.Stored?.ToString(CultureInfo.InvariantCulture) ?? "none"}, expected {expected}).",
                conflict.Stored?.ToString(CultureInfo.InvariantCulture) ?? "none", grainState.ETag ?? "none");
        }

        grainState.ETag = (expected + 1).ToString(CultureInfo.InvariantCulture);
        grainState.RecordExists = body is not null;
    }

    private static Stored? Read(Session session, string stateName, GrainId grainId) =>
        session.Query(
            "SELECT version, body FROM documents WHERE name = $name AND grain = $grain",
            row => new Stored(row.GetInt64(0), row.IsDBNull(1) ? null : row.GetString(1)),
            ("$name", stateName), ("$grain", grainId.ToString())).SingleOrDefault();

    private Task<T> RunAsync<T>(string verb, string stateName, GrainId grainId, Func<Session, T> work) =>
        database.RunAsync($"{verb} {stateName} of {grainId}", _deadline, work, CancellationToken.None);

    private sealed record Stored(long Version, string? Body);

    private sealed record Conflict(long? Stored);
}
