using AwsVpcCni.CniProtocol;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>From a plugin's request to its reply: which command, and how an error is told.</summary>
internal sealed partial class CniCommands(
    AddCommand add, DelCommand del, CheckCommand check, GcCommand gc, StatusCommand status, ILogger log)
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
                CniCommand.Gc => await gc.RunAsync(call, request),
                CniCommand.Status => await status.RunAsync(call, request, cancellation),
                _ => throw CniException.Of(CniErrorCode.InvalidEnvironment, "VERSION is answered by the plugin itself"),
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

    [LoggerMessage(EventId = 3241, Level = LogLevel.Error, Message = "A request of the plugin has met a defect.")]
    private partial void LogDefect(Exception exception);
}
