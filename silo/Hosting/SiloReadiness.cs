using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Storage;

namespace AwsVpcCni.Silo.Hosting;

/// <summary>A silo's: it is an active member, and each table of the store takes a write.</summary>
internal sealed class SiloReadiness(ISiloStatusOracle silo, IStore store, TimeProvider time, IHostApplicationLifetime lifetime) : Readiness(lifetime, time)
{
    /// <inheritdoc/>
    protected override async Task<string?> LookAsync(CancellationToken cancellation)
    {
        if (silo.CurrentStatus != SiloStatus.Active)
        {
            return $"the silo is {silo.CurrentStatus}";
        }

        try
        {
            // Durable, like every write: a full disk or a missing permission shows here before an ADD meets it.
            await store.ProbeAsync(cancellation);
            return null;
        }
        catch (StoreException e)
        {
            return e.Message;
        }
    }
}
