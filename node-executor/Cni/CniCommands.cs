using AwsVpcCni.CniProtocol;
using AwsVpcCni.NodeExecutor.Lease;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>From a plugin's request to its reply: which command, and how an error is told.</summary>
internal sealed partial class CniCommands(AddCommand add, DelCommand del, CheckCommand check, Lane lane, LeaseLink link, ILogger log)
{
    internal async Task<PluginReply> ServeAsync(PluginRequest request, CancellationToken cancellation)
    {
        var version = NetConf.VersionOf(request.Stdin);
        try
        {
            var call = CniCall.Parse(request.Environment.Span);
            return call.Command switch
            {
                CniCommand.Add => await add.RunAsync(call, request, cancellation),
                CniCommand.Del => await del.RunAsync(call, request),
                CniCommand.Check => await check.RunAsync(call, request, cancellation),
                CniCommand.Status => await StatusAsync(request),
                _ => throw CniException.Of(CniErrorCode.UnsupportedCommand,
                    $"{call.Command.ToString().ToUpperInvariant()} is not served by this version of aws-vpc-cni. ADD, DEL, CHECK, STATUS and VERSION are"),
            };
        }
        catch (CniException e)
        {
            return PluginReply.Of(e.Error, version);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return PluginReply.Of(new CniError(CniErrorCode.TryAgainLater, "the node executor is stopping. Try again when it is back"), version);
        }
#pragma warning disable CA1031 // The border: a defect must be told as such to the one who asked, and must not end the executor.
        catch (Exception e)
        {
            LogDefect(e);
            return PluginReply.Of(new CniError(CniErrorCode.Internal, "the node executor has a defect; its log says more", e.Message), version);
        }
#pragma warning restore CA1031
    }

    private async Task<PluginReply> StatusAsync(PluginRequest request)
    {
        NetConf.Parse(request.Stdin);
        return link.Lease.CanServe
            ? PluginReply.Nothing
            : throw CniException.Of(CniErrorCode.NotAvailable, await lane.RunAsync(link.WhyNotServable));
    }

    [LoggerMessage(EventId = 3241, Level = LogLevel.Error, Message = "A request of the plugin has met a defect.")]
    private partial void LogDefect(Exception exception);
}
