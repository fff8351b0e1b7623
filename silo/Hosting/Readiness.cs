using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Storage.Sqlite;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Hosting;

/// <summary>Whether this silo can serve a node now: it is an active member, and the store takes a write.</summary>
internal sealed class Readiness(ISiloStatusOracle silo, Database database, IOptions<StorageOptions> storage)
{
    /// <summary>Null when ready; else why not.</summary>
    public async Task<string?> WhyNotAsync(CancellationToken cancellation)
    {
        if (silo.CurrentStatus != SiloStatus.Active)
        {
            return $"the silo is {silo.CurrentStatus}";
        }

        try
        {
            // Durable, like every write: a full or read-only disk shows here before an ADD meets it.
            await database.RunAsync(
                "readiness probe", storage.Value.DocumentDeadline,
                session => session.Execute("UPDATE probe SET count = count + 1 WHERE id = 1"), cancellation);
            return null;
        }
        catch (StoreException e)
        {
            return e.Message;
        }
    }
}
