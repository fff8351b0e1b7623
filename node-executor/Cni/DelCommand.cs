using System.Runtime.InteropServices;
using AwsVpcCni.CniProtocol;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Wiring;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>DEL: succeeds whatever is down, how often it comes, with or without namespace. Its only key is the sandbox.</summary>
internal sealed partial class DelCommand(Lane lane, LeaseLink link, PodLinks links, SandboxGate gate, TimeProvider time, ILogger log)
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan KernelDeadline = TimeSpan.FromSeconds(2);

    internal async Task<PluginReply> RunAsync(CniCall call, PluginRequest request)
    {
        var began = time.GetTimestamp();
        var sandbox = new SandboxKey(call.ContainerId, call.IfName);

        // First: an ADD of the sandbox that waits for an address ends by it, and lets us in.
        var (held, pod) = await lane.RunAsync(() =>
        {
            var had = link.Delete(sandbox, request.Turn);
            return (had, had is null ? null : link.Lease.Slots.GetValueOrDefault(had.Address)?.Hold?.Pod);
        });
        var removal = RemoveAsync(sandbox, held?.Address, call.IfName == PodVeth.FirstIfName ? null : request.Netns);
        await time.ForAsync(removal, Deadline, CancellationToken.None);
        if (removal.IsCompleted)
        {
            await removal; // Its failure is the DEL's.
        }

        if (held is { } ended && !removal.IsCompleted)
        {
            LogHandedOver(pod, sandbox, ended.Address, ended.EniId, Deadline.TotalSeconds);
        }
        else if (held is { } had)
        {
            LogDeleted(pod, sandbox, had.Address, had.EniId, time.MillisecondsSince(began));
        }
        else
        {
            LogNothingHeld(sandbox, time.MillisecondsSince(began));
        }

        return PluginReply.Nothing;
    }

    /// <summary>At its turn, however late: the DEL does not wait for it longer than its runtime does.</summary>
    /// <param name="living">The namespace of a pod that may live on without this network; closed when the request has ended.</param>
    private async Task RemoveAsync(SandboxKey sandbox, Ip? address, SafeHandle? living)
    {
        using var pass = await gate.EnterAsync(sandbox, Timeout.InfiniteTimeSpan, CancellationToken.None);
        if (address is { } had && living is { IsClosed: false })
        {
            PodRules.TryRemove(living, had, KernelDeadline);
        }

        // Whoever had it before may have unwired it, as an ADD whose claim is gone does: then the address can be another pod's.
        if (address is { } left && link.Lease.Slots.GetValueOrDefault(left)?.Hold is { Leaving: true } hold && hold.Sandbox == sandbox)
        {
            links.Remove(sandbox, left);
        }
    }

    [LoggerMessage(EventId = 3231, Level = LogLevel.Information, Message = "DEL {Pod} sandbox {Sandbox}: had {Address} of {EniId}, in {Milliseconds} ms.")]
    private partial void LogDeleted(PodName? pod, SandboxKey sandbox, Ip address, string eniId, double milliseconds);

    [LoggerMessage(EventId = 3233, Level = LogLevel.Warning,
        Message = "DEL {Pod} sandbox {Sandbox}: had {Address} of {EniId}; another request for it has not ended within {Seconds} s, and its link is removed when that has.")]
    private partial void LogHandedOver(PodName? pod, SandboxKey sandbox, Ip address, string eniId, double seconds);

    [LoggerMessage(EventId = 3232, Level = LogLevel.Information, Message = "DEL sandbox {Sandbox}: had no address, in {Milliseconds} ms.")]
    private partial void LogNothingHeld(SandboxKey sandbox, double milliseconds);
}
