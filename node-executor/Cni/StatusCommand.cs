using AwsVpcCni.CniProtocol;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Wiring;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>STATUS: could an ADD be served now? The README's table says which state gets which answer.</summary>
internal sealed class StatusCommand(Lane lane, LeaseLink link, NetworkReadiness network, TimeProvider time)
{
    /// <summary>For the first looks at table and interfaces after a start: a node that has served goes on serving.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <exception cref="CniException">Codes 50 and 51, with the reason.</exception>
    internal async Task<PluginReply> RunAsync(CniCall call, PluginRequest request, CancellationToken cancellation)
    {
        NetConf.Parse(request.Stdin, call.Command);
        using var deadline = new CancellationTokenSource(Patience, time);
        if (await network.WhyNotAsync(Patience, isPod: false, time, cancellation) is { } whyNot)
        {
            throw CniException.Of(CniErrorCode.NotAvailable, whyNot);
        }

        if (!link.Lease.CanServe)
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, deadline.Token);
            try
            {
                await lane.RunAsync(() => link.WhenServableAsync(either.Token));
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                // It says below why.
            }
        }

        return await lane.RunAsync(link.WhyNotServable) is not { } unserved
            ? PluginReply.Nothing
            : throw CniException.Of(unserved.AffectsPods ? CniErrorCode.NotAvailableLimitedConnectivity : CniErrorCode.NotAvailable, unserved.Text);
    }
}
