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
        using var pass = await gate.EnterAsync(sandbox, Deadline, CancellationToken.None);
        if (held is { } grant && pass is not null)
        {
            if (call.IfName != PodVeth.FirstIfName && request.Netns is { } netns)
            {
                PodRules.TryRemove(netns, grant.Address, KernelDeadline); // The pod may live on, without this network.
            }

            links.Remove(sandbox, grant.Address); // Without a pass the ADD that still has it sees that its claim is gone, and unwires.
        }

        if (held is { } ended)
        {
            LogDeleted(pod, sandbox, ended.Address, ended.EniId, time.MillisecondsSince(began));
        }
        else
        {
            LogNothingHeld(sandbox, time.MillisecondsSince(began));
        }

        return PluginReply.Nothing;
    }

    [LoggerMessage(EventId = 3231, Level = LogLevel.Information, Message = "DEL {Pod} sandbox {Sandbox}: had {Address} of {EniId}, in {Milliseconds} ms.")]
    private partial void LogDeleted(PodName? pod, SandboxKey sandbox, Ip address, string eniId, double milliseconds);

    [LoggerMessage(EventId = 3232, Level = LogLevel.Information, Message = "DEL sandbox {Sandbox}: had no address, in {Milliseconds} ms.")]
    private partial void LogNothingHeld(SandboxKey sandbox, double milliseconds);
}
