using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Wiring;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>Finds sandboxes that are gone without a DEL: a link goes with its pod's namespace, and a DEL that finds no executor succeeds all the same.</summary>
/// <param name="changes">Whose task ends when the kernel's links have changed; taken before a look.</param>
/// <param name="ended">Null where no plugin leaves marks.</param>
internal sealed partial class VanishedSandboxes(
    IWirer wirer, Lane lane, LeaseLink link, PodLinks links, SandboxGate gate, Func<Task> changes, TimeProvider time, ILogger log, EndedSandboxes? ended = null)
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan KernelDeadline = TimeSpan.FromSeconds(5);

    private readonly Repeated failures = new(time);

    /// <summary>Looks until it is cancelled: at once after a change, else now and then.</summary>
    internal async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var changed = changes();
            if (ended is not null)
            {
                await ended.CarryOutAllAsync();
            }

            await LookAsync();
            await time.ForAsync(changed, Period, stop);
        }
    }

    private async Task LookAsync()
    {
        foreach (var sandbox in Missing(link.Lease).ToArray())
        {
            // Inside the gate no ADD is between its claim and its link.
            using var pass = gate.TryEnter(sandbox);
            if (pass is null || !link.Lease.Claims.TryGetValue(sandbox, out var address) || !Missing(link.Lease).Contains(sandbox))
            {
                continue;
            }

            if (await lane.RunAsync(() => link.Vanish(sandbox, address)))
            {
                var slot = link.Lease.Slots[address];
                LogVanished(slot.Hold!.Pod, sandbox, address, slot.EniId, Math.Round((BootClock.Now(time) - slot.Hold.Since).TotalSeconds));
                links.Remove(sandbox, address); // Its rules and route may be left.
            }
        }
    }

    /// <summary>Claims without a link, in the kernel as it is now. One whose alias others have changed is still a link, unless it is another sandbox's.</summary>
    private HashSet<SandboxKey> Missing(NodeLease lease)
    {
        try
        {
            var wired = lease.Claims.IsEmpty ? [] : wirer.Read(KernelDeadline).Where(one => one.HostVeth is not null).ToArray();
            var owned = wired.Where(one => one.Sandbox is not null).ToLookup(one => one.HostVeth!, one => one.Sandbox!.Value, StringComparer.Ordinal);
            var owners = owned.SelectMany(one => one).ToHashSet();
            return [.. lease.Claims.Keys.Where(sandbox => !owners.Contains(sandbox) && !(links.HostVethOf(sandbox) is { } name && !owned.Contains(name) && wirer.HasLink(name, KernelDeadline)))];
        }
        catch (WiringException e)
        {
            if (failures.Say(e.Message) is { } line)
            {
                LogNotRead(line);
            }

            return [];
        }
    }

    [LoggerMessage(EventId = 3251, Level = LogLevel.Information, Message = "Sandbox {Sandbox} ({Pod}) has gone without a DEL; {Address} of {EniId}, which it had for {Seconds} s, rests now.")]
    private partial void LogVanished(PodName pod, SandboxKey sandbox, Ip address, string eniId, double seconds);

    [LoggerMessage(EventId = 3252, Level = LogLevel.Warning, Message = "The kernel's links could not be read: {Why}")]
    private partial void LogNotRead(string why);
}
