using System.Net;
using AwsVpcCni.CniProtocol;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Netlink;
using AwsVpcCni.NodeExecutor.Wiring;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>ADD: an address from the lease, claimed, then wired, then told. What fails on the way is undone before the error is told.</summary>
/// <param name="ended">Null where no plugin leaves marks.</param>
internal sealed partial class AddCommand(
    Lane lane, LeaseLink link, PodLinks links, SandboxGate gate, NetworkReadiness network, HostNetworkSettings host, TimeProvider time, ILogger log, EndedSandboxes? ended = null)
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(200);

    /// <exception cref="CniException">There is no address, or it could not be wired.</exception>
    internal async Task<PluginReply> RunAsync(CniCall call, PluginRequest request, CancellationToken cancellation)
    {
        var began = time.GetTimestamp();
        var conf = NetConf.Parse(request.Stdin);
        if (request.Netns is null)
        {
            throw NoNetns(call);
        }

        var previous = PreviousOf(call, conf);
        var sandbox = new SandboxKey(call.ContainerId, call.IfName);
        var pod = new PodName(call.Args.PodNamespace, call.Args.PodName, call.Args.PodUid);
        // Before the gate, so that a DEL meanwhile gets in.
        if (await network.WhyNotAsync(Deadline - time.GetElapsedTime(began), isPod: true, time, cancellation) is { } whyNot)
        {
            throw CniException.Of(CniErrorCode.TryAgainLater, whyNot);
        }

        var left = Deadline - time.GetElapsedTime(began); // One deadline for both waits.
        using var pass = await gate.EnterAsync(sandbox, left > TimeSpan.Zero ? left : TimeSpan.Zero, cancellation)
            ?? throw TooEarly(sandbox, Deadline);
        if (ended is not null)
        {
            await ended.BeforeAddAsync(sandbox);
        }

        var mac = MacOf(link.Lease, sandbox) ?? MacAddress.NewLocal();
        var veth = VethOf(sandbox, pod, conf, host) with { HostMac = mac };
        var asked = time.GetTimestamp();
        // Beside the question, so that what needs no address costs no time; not for a pod that will wait, nor for a sandbox that may have its pair already.
        var making = link.Lease.HasUnclaimed && !link.Lease.Claims.ContainsKey(sandbox) ? links.MakeAsync(veth, request.Netns) : Task.FromResult<IPodPair?>(null);
        IPodPair? made = null;
        try
        {
            var outcome = await lane.RunAsync(() => link.AssignAsync(sandbox, pod, conf.Name, request.Turn, time.GetElapsedTime(began), cancellation, mac.ToString()));
            var claimed = time.GetTimestamp();
            if (outcome is not AddOutcome.Granted(var grant, var number))
            {
                var failed = (AddOutcome.Failed)outcome;
                throw CniException.Of(failed.CanRetry ? CniErrorCode.TryAgainLater : CniErrorCode.NoAddressPossible, failed.Text);
            }

            WiredPod wiredPod;
            if (number is null && links.ResultOf(sandbox) is { } known)
            {
                wiredPod = known;
            }
            else
            {
                made = await making;
                wiredPod = await WireAsync(veth, made, grant, number, request);
            }

            LogAdded(pod, sandbox, grant.Address, grant.EniId, wiredPod.HostVeth, time.MillisecondsSince(began), time.MillisecondsSince(asked, claimed), time.MillisecondsSince(claimed));
            return new PluginReply(0, ResultOf(call, veth, grant, wiredPod).ToJson(conf.Version, previous), () => UndoUntoldAsync(pod, sandbox, number));
        }
        finally
        {
            if (made is null)
            {
                await links.DiscardAsync(making);
            }
        }
    }

    internal static CniException NoNetns(CniCall call) => CniException.Of(
        CniErrorCode.InvalidEnvironment, $"CNI_NETNS={call.NetnsPath} could not be opened: the pod's network namespace is gone, or the path is wrong");

    internal static CniException TooEarly(SandboxKey sandbox, TimeSpan waited) => CniException.Of(
        CniErrorCode.TryAgainLater, $"{sandbox}: an earlier request for this sandbox has not ended within {waited.TotalSeconds:0} s");

    /// <exception cref="CniException">The pod has a link of that name always. Not said of a DEL, which finds nothing to take away.</exception>
    internal static PodVeth VethOf(SandboxKey sandbox, PodName pod, NetConf conf, HostNetworkSettings host) =>
        sandbox.IfName != "lo" ? new PodVeth(sandbox, pod, conf.Mtu ?? host.PodMtu, host.VethPrefix)
        : throw CniException.Of(CniErrorCode.InvalidEnvironment, "CNI_IFNAME=lo is the name of the pod's loopback link. Take another one, such as eth0");

    /// <summary>The table of the interface that an address belongs to.</summary>
    internal static int TableOf(NodeLease lease, string eniId) =>
        lease.Interfaces.GetValueOrDefault(eniId) is { } order ? PodWiring.TableOf(order.NetworkCard, order.DeviceIndex) : PodWiring.MainTable;

    /// <summary>The address of a sandbox's link on the host, as its claim has it; null: it has none, or it was made by an executor that did not keep it.</summary>
    internal static MacAddress? MacOf(NodeLease lease, SandboxKey sandbox) =>
        lease.Claims.TryGetValue(sandbox, out var address) && MacAddress.TryParse(lease.Slots[address].Hold?.HostMac ?? "", out var mac) ? mac : null;

    private async Task<WiredPod> WireAsync(PodVeth veth, IPodPair? made, Grant grant, long? number, PluginRequest request)
    {
        var sandbox = veth.Sandbox;
        WiredPod wiredPod;
        try
        {
            wiredPod = links.Wire(PodWiring.Of(veth, grant.Address, TableOf(link.Lease, grant.EniId), time.GetUtcNow()), request.Netns!, made);
        }
        catch (WiringException e)
        {
            await UndoAsync(sandbox, grant.Address, number);
            throw new CniException(new CniError(CniErrorCode.WiringFailed, $"{grant.Address} of {grant.EniId}: {e.Message}"), e);
        }

        // A DEL may have come while the kernel worked; it has answered, and relies on this.
        if (!link.IsClaimed(sandbox, grant.Address))
        {
            links.Remove(sandbox, grant.Address);
            throw CniException.Of(CniErrorCode.TryAgainLater, $"{sandbox}: a DEL came while it was being wired with {grant.Address} of {grant.EniId}, so it is unwired again");
        }

        return wiredPod;
    }

    /// <param name="number">Null for a repeated ADD: the claim of the first stays until the DEL.</param>
    private async Task UndoAsync(SandboxKey sandbox, Ip address, long? number)
    {
        if (number is { } own)
        {
            await lane.RunAsync(() => link.Undo(sandbox, own));
            links.Remove(sandbox, address); // Finds nothing when the failed wiring has undone itself, and what is left when it could not.
        }
    }

    /// <summary>The plugin was killed before it heard of its success: for the runtime the ADD has failed.</summary>
    private async Task UndoUntoldAsync(PodName pod, SandboxKey sandbox, long? number)
    {
        using var pass = await gate.EnterAsync(sandbox, Deadline, CancellationToken.None);
        if (number is { } own && link.Lease.HeldBy(sandbox) is { } held && await lane.RunAsync(() => link.Undo(sandbox, own)))
        {
            links.Remove(sandbox, held.Address);
            LogUntold(pod, sandbox, held.Address, held.EniId);
        }
    }

    /// <summary>What the plugins before us have made stays in the result, unless it stands where ours must be.</summary>
    private static PrevResult? PreviousOf(CniCall call, NetConf conf)
    {
        var previous = conf.PrevResult is { } json ? PrevResult.Parse(json, conf.Version) : null;
        if (call.IfName == PodVeth.FirstIfName && previous?.HasDefaultRoute is true)
        {
            throw CniException.Of(
                CniErrorCode.InvalidNetworkConfig,
                $"prevResult has a default route in the pod already, and {conf.Type} makes {call.IfName}'s: put it first in the list's plugins, or let the one before it make none");
        }

        return previous?.Interfaces.Any(link => link.Sandbox is not null && link.Name == call.IfName) is true
            ? throw CniException.Of(
                CniErrorCode.InvalidNetworkConfig,
                $"prevResult has an interface {call.IfName} in the pod already, and {conf.Type} makes that interface: put it first in the list's plugins, before others that change it")
            : previous;
    }

    private static CniResult ResultOf(CniCall call, PodVeth veth, Grant grant, WiredPod pod)
    {
        var gateway = pod.Routing.Gateway.ToIPAddress();
        return new CniResult(
            [
                new CniInterface(pod.HostVeth, pod.HostMac, Mtu: veth.Mtu),
                new CniInterface(call.IfName, pod.PodMac, call.NetnsPath, veth.Mtu),
            ],
            [new CniIp(new IPNetwork(grant.Address.ToIPAddress(), grant.Address.IsV6 ? 128 : 32), InterfaceIndex: 1, gateway)],
            pod.Routing.Index == 0 ? [new CniRoute(new IPNetwork(IPAddress.Any, 0), gateway)] : []);
    }

    [LoggerMessage(EventId = 3221, Level = LogLevel.Information,
        Message = "ADD {Pod} sandbox {Sandbox}: {Address} of {EniId} on {Veth} in {Milliseconds} ms: {ClaimMilliseconds} ms to the claim, {WiringMilliseconds} ms of wiring.")]
    private partial void LogAdded(
        PodName pod, SandboxKey sandbox, Ip address, string eniId, string veth, double milliseconds, double claimMilliseconds, double wiringMilliseconds);

    [LoggerMessage(EventId = 3223, Level = LogLevel.Information,
        Message = "ADD {Pod} sandbox {Sandbox}: the plugin had gone before it could be told, so the runtime counts it as failed; {Address} of {EniId} is taken back.")]
    private partial void LogUntold(PodName pod, SandboxKey sandbox, Ip address, string eniId);
}
