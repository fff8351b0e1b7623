using System.Net.Sockets;
using AwsVpcCni.CniProtocol;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Netlink;
using AwsVpcCni.NodeExecutor.Wiring;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>CHECK: is what the ADD made still so, in the lease and in the kernel? One error names all that is not. What others have made is theirs.</summary>
internal sealed partial class CheckCommand(LeaseLink link, SandboxGate gate, HostNetworkSettings host, ILogger log)
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan KernelDeadline = TimeSpan.FromSeconds(5);

    /// <exception cref="CniException">Code 104: something is missing or changed. Others: it cannot be looked at.</exception>
    internal async Task<PluginReply> RunAsync(CniCall call, PluginRequest request, CancellationToken cancellation)
    {
        var conf = NetConf.Parse(request.Stdin, call.Command);
        var previous = PrevResult.Parse(
            conf.PrevResult ?? throw CniException.Of(CniErrorCode.InvalidNetworkConfig, "CHECK needs prevResult, the result of the container's ADD, and the network configuration has none. The runtime gives it"),
            conf.Version);
        var netns = request.Netns ?? throw AddCommand.NoNetns(call);
        var sandbox = new SandboxKey(call.ContainerId, call.IfName);
        var pod = new PodName(call.Args.PodNamespace, call.Args.PodName, call.Args.PodUid);
        var veth = AsNamed(previous, AddCommand.VethOf(sandbox, pod, conf, host));
        using var pass = await gate.EnterAsync(sandbox, Deadline, cancellation) ?? throw AddCommand.TooEarly(sandbox, Deadline);

        List<string> wrong = [];
        var given = AddressesOf(call, previous);
        var lease = link.Lease;
        var held = lease.Claims.TryGetValue(sandbox, out var claimed) ? claimed : (Ip?)null;
        if (held is null || !given.ContainsKey(held.Value))
        {
            wrong.Add($"the sandbox holds {held?.ToString() ?? "no address"} on this node, and prevResult gives {call.IfName} {(given.Count == 0 ? "none" : string.Join(", ", given.Keys))}");
        }

        if ((held ?? given.Keys.Cast<Ip?>().FirstOrDefault()) is { } address)
        {
            // Of an address that nobody holds the interface is not known, nor before the first orders after a loss of the lease file.
            var eni = lease.Slots.GetValueOrDefault(address)?.EniId ?? "";
            var isTableKnown = lease.Interfaces.ContainsKey(eni);
            var wiring = PodWiring.Of(veth, address, AddCommand.TableOf(lease, eni), default);
            var routing = RoutingOf(given.GetValueOrDefault(address));
            if (routing is null)
            {
                wrong.Add($"prevResult gives {address} the gateway {given[address]}, which is none of ours");
            }

            wrong.AddRange(await Task.Run(() => Compare(wiring, isTableKnown, routing ?? PodRouting.First, previous, netns), cancellation));
        }

        if (wrong.Count > 0)
        {
            var has = held is { } own ? $"{own} of {lease.Slots[own].EniId}" : "no address";
            throw CniException.Of(CniErrorCode.CheckFailed, $"{sandbox} ({pod}, {has}) is not as its ADD made it: {string.Join("; ", wrong)}. Restart the pod if it has no network");
        }

        LogRight(pod, sandbox);
        return PluginReply.Nothing;
    }

    /// <summary>A pod keeps its link's name when the prefix changes: prevResult tells it.</summary>
    private static PodVeth AsNamed(PrevResult previous, PodVeth veth) =>
        previous.Interfaces.FirstOrDefault(link => link.Sandbox is null && VethName.IsSame(link.Name, veth.HostVeth)) is { } host ? veth.Named(host.Name) : veth;

    private static List<string> Compare(PodWiring wiring, bool isTableKnown, PodRouting routing, PrevResult previous, SafeFileHandle netns)
    {
        List<string> wrong = [];
        var host = previous.Interfaces.FirstOrDefault(link => link.Sandbox is null && link.Name == wiring.HostVeth);
        var pod = previous.Interfaces.FirstOrDefault(link => link.Sandbox is not null && link.Name == wiring.Sandbox.IfName);
        if (host is null)
        {
            wrong.Add($"prevResult has no interface {wiring.HostVeth} of the host");
        }

        if (pod is null)
        {
            wrong.Add($"prevResult has no interface {wiring.Sandbox.IfName} of the pod");
        }

        try
        {
            wrong.AddRange(PodFound.Read(wiring.Veth, routing, netns, KernelDeadline).DifferencesTo(wiring, isTableKnown, routing, MacOf(host), MacOf(pod)));
        }
        catch (WiringException e)
        {
            throw new CniException(new CniError(CniErrorCode.TryAgainLater, e.Message), e);
        }

        return wrong;
    }

    /// <summary>The pod interface's IPv4 addresses in the result, each with its gateway. A plugin after us may have added one of its own.</summary>
    private static Dictionary<Ip, Ip?> AddressesOf(CniCall call, PrevResult previous) => previous.Ips
        .Where(ip => ip.Address.AddressFamily is AddressFamily.InterNetwork
            && ip.Interface is { } at && previous.Interfaces[at] is { Sandbox: not null } link && link.Name == call.IfName)
        .DistinctBy(ip => ip.Address)
        .ToDictionary(ip => Ip.From(ip.Address), ip => ip.Gateway is { } gateway ? Ip.From(gateway) : (Ip?)null);

    private static PodRouting? RoutingOf(Ip? gateway) => gateway is { } known ? PodRouting.Of(known) : PodRouting.First;

    private static MacAddress? MacOf(PrevInterface? link) => MacAddress.TryParse(link?.Mac ?? "", out var mac) ? mac : null;

    [LoggerMessage(EventId = 3261, Level = LogLevel.Debug, Message = "CHECK {Pod} sandbox {Sandbox}: as it was made.")]
    private partial void LogRight(PodName pod, SandboxKey sandbox);
}
