using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Wiring;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>Finds sandboxes that are gone without a DEL: a link goes with its pod's namespace, and a DEL that finds no executor succeeds all the same.</summary>
/// <remarks>Two looks in a row must miss the link, and no ADD takes as long as lies between them from claim to link. One look is enough
/// for what was claimed before this start: its link was there then. Such looks come soon, since the namespaces of pods that were
/// stopped while no executor ran are often going just at its start.</remarks>
internal sealed partial class VanishedSandboxes(IWirer wirer, Lane lane, LeaseLink link, PodLinks links, TimeProvider time, ILogger log)
{
    /// <summary>Longer than the kernel has for the wiring of a pod.</summary>
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan SoonPeriod = TimeSpan.FromSeconds(1);
    private const int SoonLooks = 9;

    private static readonly TimeSpan KernelDeadline = TimeSpan.FromSeconds(5);

    private readonly Repeated failures = new(time);

    /// <summary>Looks until it is cancelled.</summary>
    internal async Task RunAsync(CancellationToken stop)
    {
        try
        {
            using var soon = new PeriodicTimer(SoonPeriod, time);
            for (var look = 0; look < SoonLooks && await soon.WaitForNextTickAsync(stop); look++)
            {
                await LookAsync([]);
            }

            HashSet<(SandboxKey Sandbox, Ip Address)> missed = [];
            using var timer = new PeriodicTimer(Period, time);
            while (await timer.WaitForNextTickAsync(stop))
            {
                missed = await LookAsync(missed);
            }
        }
        catch (OperationCanceledException)
        {
            // Stopped.
        }
    }

    private async Task<HashSet<(SandboxKey Sandbox, Ip Address)>> LookAsync(HashSet<(SandboxKey Sandbox, Ip Address)> missedBefore)
    {
        // The claims first: one that is made during the look is judged by the next.
        var lease = link.Lease;
        HashSet<SandboxKey?> wired;
        try
        {
            wired = [.. wirer.Read(KernelDeadline).Where(sandbox => sandbox.HostVeth is not null).Select(sandbox => sandbox.Sandbox)];
        }
        catch (WiringException e)
        {
            if (failures.Say(e.Message) is { } line)
            {
                LogNotRead(line);
            }

            return missedBefore;
        }

        var missed = lease.Claims.Where(claim => !wired.Contains(claim.Key)).Select(claim => (claim.Key, claim.Value)).ToHashSet();
        foreach (var (sandbox, address) in missed.Where(miss => missedBefore.Contains(miss) || lease.Slots[miss.Value].Hold!.Turn == 0))
        {
            if (await lane.RunAsync(() => link.Vanish(sandbox, address)))
            {
                var slot = lease.Slots[address];
                LogVanished(slot.Hold!.Pod, sandbox, address, slot.EniId, Math.Round((BootClock.Now(time) - slot.Hold.Since).TotalSeconds));
                links.Remove(sandbox, address); // Its rules and route may be left.
            }
        }

        return missed;
    }

    [LoggerMessage(EventId = 3251, Level = LogLevel.Information, Message = "Sandbox {Sandbox} ({Pod}) has gone without a DEL; {Address} of {EniId}, which it had for {Seconds} s, rests now.")]
    private partial void LogVanished(PodName pod, SandboxKey sandbox, Ip address, string eniId, double seconds);

    [LoggerMessage(EventId = 3252, Level = LogLevel.Warning, Message = "The kernel's links could not be read: {Why}")]
    private partial void LogNotRead(string why);
}
