using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Storage;

namespace AwsVpcCni.Silo.Hosting;

/// <summary>Whether this silo can serve a node now: it is an active member and stays one, and the store takes a write.</summary>
internal sealed class Readiness(ISiloStatusOracle silo, IStore store, IHostApplicationLifetime lifetime)
{
    /// <summary>Null when ready; else why not.</summary>
    public async Task<string?> WhyNotAsync(CancellationToken cancellation)
    {
        if (lifetime.ApplicationStopping.IsCancellationRequested)
        {
            // The door closes next, and the silo hands its grains over after that.
            return "the silo is leaving";
        }

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
