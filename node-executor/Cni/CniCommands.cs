using AwsVpcCni.CniProtocol;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Metrics;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>From a plugin's request to its reply: which command, and how an error is told.</summary>
/// <remarks>Each command says itself what it has done; what failed is said here, in one line a request. All are counted here.</remarks>
internal sealed partial class CniCommands(
    AddCommand add, DelCommand del, CheckCommand check, GcCommand gc, StatusCommand status, RequestCounts requests, TimeProvider time, ILogger log)
{
    private readonly Repeated unserved = new(time); // A runtime asks for the status each few seconds.

    internal async Task<PluginReply> ServeAsync(PluginRequest request, CancellationToken cancellation)
    {
        var began = time.GetTimestamp();
        var version = NetConf.VersionOf(request.Stdin);
        CniCall? call = null;
        try
        {
            call = CniCall.Parse(request.Environment.Span);
            var reply = call.Command switch
            {
                CniCommand.Add => await add.RunAsync(call, request, cancellation),
                CniCommand.Del => await del.RunAsync(call, request),
                CniCommand.Check => await check.RunAsync(call, request, cancellation),
                CniCommand.Gc => await gc.RunAsync(call, request),
                CniCommand.Status => await status.RunAsync(call, request, cancellation),
                _ => throw CniException.Of(CniErrorCode.InvalidEnvironment, "VERSION is answered by the plugin itself"),
            };
            requests.Ended(call.Command, 0, time.GetElapsedTime(began));
            return reply;
        }
        catch (CniException e)
        {
            Say(call, e.Error.Code, e.Message, began);
            return PluginReply.Of(e.Error, version);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            Say(call, CniErrorCode.TryAgainLater, "its plugin has gone, or the executor is stopping", began);
            return PluginReply.Of(new CniError(CniErrorCode.TryAgainLater, "the node executor is stopping. Try again when it is back"), version);
        }
#pragma warning disable CA1031 // The border: a defect must be told as such to the one who asked, and must not end the executor.
        catch (Exception e)
        {
            requests.Ended(call?.Command, (int)CniErrorCode.Internal, time.GetElapsedTime(began));
            LogDefect(SubjectOf(call), time.MillisecondsSince(began), e);
            return PluginReply.Of(new CniError(CniErrorCode.Internal, "the node executor has a defect; its log says more", e.Message), version);
        }
#pragma warning restore CA1031
    }

    private void Say(CniCall? call, CniErrorCode code, string why, long began)
    {
        requests.Ended(call?.Command, (int)code, time.GetElapsedTime(began));
        if (call?.Command is not CniCommand.Status)
        {
            LogFailed(SubjectOf(call), time.MillisecondsSince(began), (int)code, why);
        }
        else if (unserved.Say(why) is { } line)
        {
            LogUnserved((int)code, line);
        }
    }

    private static string SubjectOf(CniCall? call) => call switch
    {
        null => "A request of the plugin",
        { ContainerId: "" } => call.Command.ToString().ToUpperInvariant(),
        { Command: CniCommand.Del } => $"DEL sandbox {call.ContainerId}/{call.IfName}",
        _ => $"{call.Command.ToString().ToUpperInvariant()} {call.Args.PodNamespace}/{call.Args.PodName} sandbox {call.ContainerId}/{call.IfName}",
    };

    [LoggerMessage(EventId = 3241, Level = LogLevel.Error, Message = "{Request} has met a defect after {Milliseconds} ms.")]
    private partial void LogDefect(string request, double milliseconds, Exception exception);

    [LoggerMessage(EventId = 3242, Level = LogLevel.Warning, Message = "{Request} failed after {Milliseconds} ms with code {Code}: {Why}")]
    private partial void LogFailed(string request, double milliseconds, int code, string why);

    [LoggerMessage(EventId = 3243, Level = LogLevel.Warning, Message = "STATUS: the runtime is told {Code}: {Why}")]
    private partial void LogUnserved(int code, string why);
}
