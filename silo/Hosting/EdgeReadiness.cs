using AwsVpcCni.Grains;
using AwsVpcCni.Grains.Vpc;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Hosting;

/// <summary>An edge's: a silo answers a ping of the VPC's grain, in the time that a node's call has.</summary>
internal sealed class EdgeReadiness(
    IGrainFactory grains, SiloLink link, ClusterSettings settings, IOptions<NodeApiOptions> door, TimeProvider time, IHostApplicationLifetime lifetime) : Readiness(lifetime, time)
{
    /// <inheritdoc/>
    protected override async Task<string?> LookAsync(CancellationToken cancellation)
    {
        if (!Lifetime.ApplicationStarted.IsCancellationRequested)
        {
            return $"no silo answers: {link.WhyNot}";
        }

        try
        {
            await grains.GetGrain<IVpcGrain>(settings.VpcId).PingAsync().WaitAsync(door.Value.CallDeadline, Time, cancellation);
            return null;
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            return $"no silo answers: {e.GetBaseException().Message}"; // Whatever Orleans or the grain throws.
        }
    }
}
