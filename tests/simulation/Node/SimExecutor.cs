using System.Text;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor;
using AwsVpcCni.NodeExecutor.Cni;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Metrics;
using AwsVpcCni.NodeExecutor.Wiring;
using AwsVpcCni.Tests.Simulation.Scheduling;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.Tests.Simulation.Node;

/// <summary>One process of the node's executor: the shipped parts, put together as Executor.RunAsync does.</summary>
internal sealed class SimExecutor
{
    private static readonly byte[] Config = Encoding.UTF8.GetBytes("""{"cniVersion":"1.0.0","name":"aws-cni","type":"aws-vpc-cni"}""");

    private readonly Scheduler _scheduler;
    private readonly CniCommands _commands;
    private readonly List<TaskCompletionSource<PluginReply?>> _served = [];
    private int _requests;
    private long _turns;

    /// <exception cref="WiringException">The kernel does not say what is wired: it starts again.</exception>
    /// <exception cref="IOException">The disk refuses: it starts again.</exception>
    public SimExecutor(Scheduler scheduler, Life life, SimMachine machine, SimNodeApi api, SimInterfaces interfaces, ILogger log)
    {
        (_scheduler, Life) = (scheduler, life);
        var clock = new Clock(scheduler, Life, machine.Wall, machine.BootedAt);
        Api = api;
        var store = new LeaseFile(machine.Disk, machine.BootId);
        var wired = machine.Kernel.Read(TimeSpan.FromSeconds(10)).OrderByDescending(one => one.Since).ToList();
        var content = store.Read(machine.InstanceId);
        var tables = (content.Lease?.Interfaces.Values ?? []).GroupBy(order => PodWiring.TableOf(order.NetworkCard, order.DeviceIndex)).ToDictionary(orders => orders.Key, orders => orders.Last().EniId);
        var (lease, leftovers) = NodeLease.Start(machine.InstanceId, content, [.. wired.Select(one => NodeExecutor.Executor.LinkOf(one, tables))], BootClock.Now(clock));
        store.Save(lease);

        var lane = new NodeExecutor.Lease.Lane(new SimLane(scheduler, Life, $"{Life.Name}: lease") { Owner = this });
        Link = new LeaseLink(api, store, clock, new LeaseLinkOptions(), lease, interfaces, log);
        var links = new PodLinks(machine.Kernel, lane, Link, clock, log);
        foreach (var sandbox in wired.Where(one => one.Sandbox is not null))
        {
            links.Found(sandbox.Sandbox!.Value, sandbox);
        }

        foreach (var (holder, left) in leftovers)
        {
            var found = wired.First(one => one.HostVeth == left.HostVeth && (left.HostVeth is not null || one.Address == left.Address));
            links.Remove(holder, found with { Address = left.Address }, left.Address);
        }

        var gate = new SandboxGate(clock);
        var network = new NetworkReadiness(); // Tables are the kernel's, and not part of this world.
        network.Set();
        _commands = new CniCommands(
            new AddCommand(lane, Link, links, gate, network, new HostNetworkSettings(), clock, log), new DelCommand(lane, Link, links, gate, clock, log),
            new CheckCommand(Link, gate, new HostNetworkSettings(), log), new GcCommand(lane, Link, links, gate, clock, log), new StatusCommand(lane, Link, network, clock), new RequestCounts(), clock, log);
        Background("link", () => lane.RunAsync(() => Link.RunAsync(CancellationToken.None)));
        var silent = new TaskCompletionSource(); // The kernel here tells nothing: it is looked at now and then.
        Background("vanished", () => new VanishedSandboxes(machine.Kernel, lane, Link, links, gate, () => silent.Task, clock, log).RunAsync(CancellationToken.None));
    }

    public Life Life { get; }

    public LeaseLink Link { get; }

    public SimNodeApi Api { get; }

    /// <summary>A plugin's request, on a lane of its own.</summary>
    /// <param name="late">From its place in the order of arrival until the plugin has written it.</param>
    /// <returns>Null when the executor died meanwhile: the plugin's socket was reset.</returns>
    public Task<PluginReply?> ServeAsync(string command, SandboxKey sandbox, string pod, SafeFileHandle? netns, CancellationToken cancellation, TimeSpan late = default)
    {
        var turn = ++_turns;
        var answer = new TaskCompletionSource<PluginReply?>(); // Plain: completed from the event loop.
        _served.Add(answer);
        cancellation.UnsafeRegister(_ => answer.TrySetResult(null), null); // The plugin is killed: it tells nobody anything.
        var environment = Encoding.UTF8.GetBytes(
            $"CNI_COMMAND={command}\0CNI_CONTAINERID={sandbox.ContainerId}\0CNI_IFNAME={sandbox.IfName}\0CNI_NETNS=/run/netns/x\0" +
            $"CNI_ARGS=K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod};IgnoreUnknown=1\0");
        var lane = new SimLane(_scheduler, Life, $"{Life.Name}: {command} {sandbox} ({++_requests})") { Owner = this };
        _scheduler.After(TimeSpan.FromMilliseconds(0.1) + late, () => lane.Start(command, async () =>
        {
            var reply = await _commands.ServeAsync(new PluginRequest(environment, Config, netns, turn), cancellation);
            _served.Remove(answer);
            if (cancellation.IsCancellationRequested && reply.Undo is { } undo)
            {
                await undo(); // As the socket does: the plugin has gone, and cannot be told.
            }

            _scheduler.After(TimeSpan.FromMilliseconds(0.1), () => answer.TrySetResult(reply));
        }));
        return answer.Task;
    }

    /// <summary>As kill -9.</summary>
    public void Kill()
    {
        Life.End();
        _served.ForEach(plugin => _scheduler.After(TimeSpan.Zero, () => plugin.TrySetResult(null)));
        Api.CutStream();
    }

    /// <summary>None of them ends: one that does, or throws, is a defect.</summary>
    private void Background(string name, Func<Task> run) => new SimLane(_scheduler, Life, $"{Life.Name}: {name}") { Owner = this }.Start(name, async () =>
    {
        await run();
        _scheduler.Fail($"{Life.Name}: {name} has ended");
    });
}
