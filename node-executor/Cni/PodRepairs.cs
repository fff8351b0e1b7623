using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Netlink;
using AwsVpcCni.NodeExecutor.Wiring;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>Puts back what others change of the pods' links, routes and rules on the host: at once after the kernel tells of a change, else each 30 s.</summary>
/// <remarks>A pod that a request is working on is left to the next look.</remarks>
internal sealed partial class PodRepairs(LeaseLink link, PodLinks links, SandboxGate gate, HostNetworkSettings host, Repairs repairs, TimeProvider time, ILogger log)
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan KernelDeadline = TimeSpan.FromSeconds(5);

    private readonly Dictionary<SandboxKey, MacAddress> seen = []; // Of pods whose ADD an older executor served: their links' addresses as they were first seen.
    private readonly Repeated failures = new(time);

    /// <summary>Looks until it is stopped.</summary>
    internal async Task RunAsync(KernelEvents events, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var changed = events.Next;
            await Task.Run(Look, CancellationToken.None);
            await time.ForAsync(changed, Period, stop);
        }
    }

    /// <summary>One look, in the calling thread's network namespace.</summary>
    internal void Look()
    {
        var lease = link.Lease;
        foreach (var gone in seen.Keys.Where(sandbox => !lease.Claims.ContainsKey(sandbox)).ToArray())
        {
            seen.Remove(gone);
        }

        if (lease.Claims.IsEmpty)
        {
            return;
        }

        Try(() =>
        {
            using var socket = NetlinkSocket.Open();
            var found = PodsFound.Read(socket, Deadline.In(KernelDeadline));
            foreach (var sandbox in lease.Claims.Keys.Where(sandbox => StepsFor(sandbox, lease, found).Count > 0))
            {
                Try(() => Repair(socket, sandbox)); // One that the kernel refuses keeps no other from it.
            }
        });
    }

    private void Repair(NetlinkSocket socket, SandboxKey sandbox)
    {
        // Inside the gate the claim is what it is, and nobody else wires or unwires this pod.
        using var pass = gate.TryEnter(sandbox);
        var until = Deadline.In(KernelDeadline);
        if (pass is null || StepsFor(sandbox, link.Lease, PodsFound.Read(socket, until)) is not { Count: > 0 } steps)
        {
            return;
        }

        InterfaceSetup.Execute(socket, steps, until);
        steps.ForEach(step => repairs.Made(step.Kind, $"{step.What} ({sandbox})"));
    }

    private void Try(Action work)
    {
        try
        {
            work();
        }
        catch (Exception e) when (e is NetlinkException or IOException or InvalidDataException)
        {
            if (failures.Say(e.Message) is { } line)
            {
                LogFailed(line);
            }
        }
    }

    private List<InterfaceStep> StepsFor(SandboxKey sandbox, NodeLease lease, PodsFound found)
    {
        if (!lease.Claims.TryGetValue(sandbox, out var address) || lease.Slots.GetValueOrDefault(address) is not { Hold: { } hold } slot || links.HostVethOf(sandbox) is not { } name)
        {
            return [];
        }

        var veth = new PodVeth(sandbox, hold.Pod, host.PodMtu, host.VethPrefix).Named(name);
        var wiring = PodWiring.Of(veth, address, AddCommand.TableOf(lease, slot.EniId), time.GetUtcNow());
        MacAddress? mac = MacAddress.TryParse(links.ResultOf(sandbox)?.HostMac ?? "", out var made) ? made
            : AddCommand.MacOf(lease, sandbox) ?? (seen.TryGetValue(sandbox, out var first) ? first : null);
        if (found.HostEndOf(wiring, mac) is not { } end)
        {
            return []; // Gone with its pod's namespace: that is a sandbox that has vanished.
        }

        if (mac is null && end.Mac is { } now)
        {
            seen[sandbox] = now;
        }

        return found.StepsTo(wiring, end, mac, isTableKnown: lease.Interfaces.ContainsKey(slot.EniId));
    }

    [LoggerMessage(EventId = 3253, Level = LogLevel.Warning, Message = "The pods' links and rules could not be looked after: {Why}")]
    private partial void LogFailed(string why);
}
