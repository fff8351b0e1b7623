using System.Text.Json;
using AwsVpcCni.CniProtocol;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Cni;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Metrics;
using AwsVpcCni.NodeExecutor.Wiring;

namespace AwsVpcCni.NodeExecutor.Status;

/// <summary>Answers <c>node-executor status</c>: one document from one moment of the lease.</summary>
internal sealed class StatusReport(Lane lane, LeaseLink link, PodLinks links, HostNetwork network, Repairs repairs, TimeProvider time)
{
    /// <summary>Of a reason's text, in characters.</summary>
    internal const int MaxReason = 500;

    private const int MostAddresses = 1_000;
    private readonly TimeSpan began = BootClock.Now(time);

    /// <summary>In the place of the plugin's variables: no CNI command has this form.</summary>
    internal static ReadOnlySpan<byte> Question => "AWS_VPC_CNI_ASK=status\0"u8;

    internal static bool IsAsked(PluginRequest request) => request.Environment.Span.SequenceEqual(Question);

    internal async Task<PluginReply> ReplyAsync()
    {
        var snapshot = await lane.RunAsync(link.Snapshot);
        for (var most = MostAddresses; ; most /= 2)
        {
            var status = Of(snapshot, links.HostVethOf, network.Status, repairs, began, most, most / 10);
            var body = JsonSerializer.SerializeToUtf8Bytes(status, ExecutorStatusJson.Default.ExecutorStatus);
            if (body.Length <= Frame.MaxReplyBodySize)
            {
                return new PluginReply(0, body);
            }
        }
    }

    /// <summary>The same moment in figures, for Prometheus.</summary>
    internal async Task<string> MetricsAsync(RequestCounts requests)
    {
        var snapshot = await lane.RunAsync(link.Snapshot);
        var waiting = snapshot.Lease.Adds.Values.ToLookup(add => add.Why?.Code);
        return MetricsText.Of(Of(snapshot, links.HostVethOf, network.Status, repairs, began, 0, 0), waiting, requests);
    }

    /// <summary>Pure but for the look at links.</summary>
    /// <param name="linkOf">The host's end of a sandbox; null for none.</param>
    /// <param name="began">Boot-clock time of the start.</param>
    internal static ExecutorStatus Of(
        LinkSnapshot snapshot, Func<SandboxKey, string?> linkOf, HostNetworkStatus host, Repairs repairs, TimeSpan began, int mostAddresses, int mostWaiting)
    {
        var (lease, now) = (snapshot.Lease, snapshot.Now);
        var states = lease.Slots.Select(slot => (slot.Key, slot.Value, State: StateOf(lease, slot.Value, now))).ToList();
        int Count(AddressState state) => states.Count(slot => slot.State == state);
        return new ExecutorStatus
        {
            Node = lease.InstanceId,
            Incarnation = lease.Incarnation,
            UpSeconds = Seconds(now - began),
            Silo = new SiloStatus(snapshot.Silo, Seconds(snapshot.Contact), snapshot.Failure, snapshot.Failures),
            Host = new HostStatus(host.IsReady, host.Waiting, host.Last is { } last ? Math.Max(0, Seconds(now - last.At)) : null, host.Last?.Failure),
            Lease = new LeaseStatus(
                lease.Version, lease.Ended.Count, snapshot.IsFileWritten, states.Count,
                Count(AddressState.InUse), Count(AddressState.Leaving), Count(AddressState.Cooling), Count(AddressState.Free), Count(AddressState.NotUsable)),
            Interfaces = [.. lease.Interfaces.Values.OrderBy(order => (order.NetworkCard, order.DeviceIndex)).Select(order => InterfaceOf(lease, order))],
            Addresses = [.. states.OrderBy(slot => slot.State).Take(mostAddresses).Select(slot => AddressOf(lease, slot.Key, slot.Value, slot.State, linkOf, now))], // A stable sort.
            AddressesLeftOut = Math.Max(0, states.Count - mostAddresses),
            Waiting = [.. lease.Adds.OrderBy(add => add.Value.Since).Take(mostWaiting).Select(add => WaitingOf(add.Key, add.Value, now))],
            WaitingLeftOut = Math.Max(0, lease.Adds.Count - mostWaiting),
            Repairs = [.. repairs.Counts().Select(repair => new RepairStatus(repair.Kind.ToString(), repair.Count, Seconds(repair.Ago)))],
        };
    }

    private static AddressState StateOf(NodeLease lease, Slot slot, TimeSpan now) => slot switch
    {
        { Hold: { Leaving: false } } => AddressState.InUse,
        { Hold: not null } => AddressState.Leaving,
        _ when lease.RestsFor(slot, now) > TimeSpan.Zero => AddressState.Cooling,
        { Leased: true } when lease.InterfacesSetUp.Contains(slot.EniId) => AddressState.Free,
        _ => AddressState.NotUsable,
    };

    private static InterfaceStatus InterfaceOf(NodeLease lease, InterfaceOrder order)
    {
        var slots = lease.Slots.Values.Where(slot => slot.EniId == order.EniId).ToList();
        return new InterfaceStatus(
            order.EniId, order.Mac, order.NetworkCard, order.DeviceIndex, order.PrimaryAddress.ToString(), lease.InterfacesSetUp.Contains(order.EniId),
            lease.InterfacesLeaving.Contains(order.EniId), slots.Count, slots.Count(slot => slot.Hold is { Leaving: false }));
    }

    private static AddressStatus AddressOf(NodeLease lease, Ip address, Slot slot, AddressState state, Func<SandboxKey, string?> linkOf, TimeSpan now) =>
        slot.Hold is { } hold
            ? new AddressStatus(
                address.ToString(), slot.EniId, state, slot.Leased, hold.Pod.ToString(), hold.Sandbox.ContainerId, hold.Sandbox.IfName, hold.Network,
                linkOf(hold.Sandbox), Seconds(now - hold.Since), null)
            : new AddressStatus(
                address.ToString(), slot.EniId, state, slot.Leased, null, null, null, null, null, null,
                state is AddressState.Cooling ? Seconds(lease.RestsFor(slot, now)) : null);

    private static WaitingStatus WaitingOf(SandboxKey sandbox, Asking add, TimeSpan now) => new(
        add.Pod.ToString(), sandbox.ContainerId, sandbox.IfName, Seconds(now - add.Since), add.Why?.Code.ToString(),
        add.Why?.Text is { Length: > MaxReason } text ? text[..MaxReason] + "..." : add.Why?.Text);

    private static double Seconds(TimeSpan time) => Math.Round(time.TotalSeconds, 1);

    private static double? Seconds(TimeSpan? time) => time is { } known ? Seconds(known) : null;
}
