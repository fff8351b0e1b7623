using AwsVpcCni.CniProtocol;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>GC: what sandboxes hold of a network that the runtime does not list for it is released like by a DEL.</summary>
/// <remarks>Left alone: those listed, those of other networks, those whose network is not known (the lease file was lost), those of which an ADD
/// or DEL is being served.</remarks>
internal sealed partial class GcCommand(Lane lane, LeaseLink link, PodLinks links, SandboxGate gate, TimeProvider time, ILogger log)
{
    private volatile HashSet<SandboxKey> told = []; // Of unknown network, at the last GC.

    /// <exception cref="CniException">The list cannot be read; nothing is released then.</exception>
    internal async Task<PluginReply> RunAsync(CniCall call, PluginRequest request)
    {
        var began = time.GetTimestamp();
        var network = NetConf.Parse(request.Stdin, call.Command).Name;
        var valid = ValidAttachments.Parse(request.Stdin);
        var (released, busy) = (0, 0);
        HashSet<SandboxKey> unknown = [];
        foreach (var (address, slot) in link.Lease.Slots)
        {
            if (slot.Hold is not { } hold || valid.Contains((hold.Sandbox.ContainerId, hold.Sandbox.IfName))
                || hold is { Network: null, Leaving: true }) // Found half wired at the start: it is being removed.
            {
                continue;
            }

            if (hold.Network is null)
            {
                unknown.Add(hold.Sandbox);
                if (!told.Contains(hold.Sandbox))
                {
                    LogUnknown(network, hold.Sandbox, address);
                }
            }
            else if (hold.Network == network)
            {
                var isReleased = hold.Turn < request.Turn && await ReleaseAsync(network, hold, address, slot.EniId, began);
                (released, busy) = isReleased ? (released + 1, busy) : (released, busy + 1);
            }
        }

        told = unknown;
        LogCollected(network, valid.Count, released, busy, unknown.Count, time.MillisecondsSince(began));
        return PluginReply.Nothing;
    }

    private async Task<bool> ReleaseAsync(string network, Hold hold, Ip address, string eniId, long began)
    {
        var sandbox = hold.Sandbox;
        using var pass = gate.TryEnter(sandbox);
        if (pass is null || !await lane.RunAsync(() => link.Collect(sandbox, address)))
        {
            return false; // It is being served, or has been meanwhile.
        }

        links.Remove(sandbox, address);
        LogReleased(network, sandbox, hold.Pod, address, eniId, time.MillisecondsSince(began));
        return true;
    }

    [LoggerMessage(EventId = 3271, Level = LogLevel.Information, Message = "GC {Network}: the runtime does not list sandbox {Sandbox} ({Pod}); {Address} of {EniId} is released, after {Milliseconds} ms.")]
    private partial void LogReleased(string network, SandboxKey sandbox, PodName pod, Ip address, string eniId, double milliseconds);

    [LoggerMessage(EventId = 3272, Level = LogLevel.Information, Message = "GC {Network}: {Listed} attachments listed, {Released} sandboxes released, {Busy} left since they are being served, {Unknown} of an unknown network, in {Milliseconds} ms.")]
    private partial void LogCollected(string network, int listed, int released, int busy, int unknown, double milliseconds);

    [LoggerMessage(EventId = 3273, Level = LogLevel.Warning, Message = "GC {Network}: sandbox {Sandbox} with {Address} is not listed, and is left alone: the lease file that knew its network is lost. Its DEL, or its namespace's end, releases it.")]
    private partial void LogUnknown(string network, SandboxKey sandbox, Ip address);
}
