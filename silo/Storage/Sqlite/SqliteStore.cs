using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Storage.Sqlite;

/// <summary>The file as the silo's store.</summary>
internal sealed class SqliteStore(Database database, IOptions<StorageOptions> options) : IStore
{
    /// <inheritdoc/>
    public Task OpenAsync(CancellationToken cancellation) => Task.CompletedTask; // It was when the database was made.

    /// <inheritdoc/>
    public Task ProbeAsync(CancellationToken cancellation) => database.RunAsync(
        "readiness probe", options.Value.DocumentDeadline,
        session => session.Execute("UPDATE probe SET count = count + 1 WHERE id = 1"), cancellation);
}
