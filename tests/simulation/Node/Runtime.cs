using System.Text.Json;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Cni;
using AwsVpcCni.Tests.Simulation.Faults;
using AwsVpcCni.Tests.Simulation.Scheduling;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.Tests.Simulation.Node;

/// <summary>kubelet and container runtime of one machine: pods come and go, some under one name in quick succession, some without a DEL.</summary>
internal sealed class Runtime
{
    private readonly Scheduler _scheduler;
    private readonly Swarm _faults;
    private readonly SimMachine _machine;
    private readonly Clock _clock;
    private readonly int _slots;
    private readonly Action _counted;
    private readonly Dictionary<SandboxKey, (string Pod, SafeFileHandle Netns)> _known = []; // Until its end is through.
    private int _sandboxes;
    private bool _isEbb; // No pod comes: only then is the pool ever too large for long.

    public Runtime(Scheduler scheduler, Swarm faults, SimMachine machine, int slots, Action counted)
    {
        (_scheduler, _faults, _machine, _slots, _counted) = (scheduler, faults, machine, slots, counted);
        _clock = new Clock(scheduler, machine.Boot, machine.Wall);
        for (var n = 0; n < slots; n++)
        {
            var name = $"pod-{n}";
            Start(name, () => SlotAsync(name));
        }

        if (slots > 0 && scheduler.Chance(0.5))
        {
            Start("tide", TideAsync);
        }
    }

    /// <summary>After a reboot: the same pods in new sandboxes, while those of before are ended, which are not alive any more.</summary>
    public Runtime(Runtime before)
        : this(before._scheduler, before._faults, before._machine, before._slots, before._counted)
    {
        (_sandboxes, IsSettling) = (before._sandboxes, before.IsSettling);
        foreach (var (sandbox, (pod, netns)) in before._known)
        {
            Start($"end of {sandbox}, which was there before the reboot", async () =>
            {
                await DelayAsync(0, 20);
                await EndAsync(pod, sandbox, netns);
            });
        }
    }

    /// <summary>No pod is begun or ended any more; what runs, stays.</summary>
    public bool IsSettling { get; set; }

    /// <summary>Requests under way.</summary>
    public int Pending { get; private set; }

    /// <summary>Pods whose ADD has succeeded and whose end has not begun.</summary>
    public SortedDictionary<string, (SandboxKey Sandbox, Ip Address)> Pods { get; } = new(StringComparer.Ordinal);

    /// <summary>What an ADD was refused with last, by pod.</summary>
    public SortedDictionary<string, string> Refused { get; } = new(StringComparer.Ordinal);

    private void Start(string what, Func<Task> work) => new SimLane(_scheduler, _machine.Boot, $"runtime of {_machine.InstanceId}: {what}") { Owner = this }.Start(what, work);

    private async Task TideAsync()
    {
        while (!IsSettling)
        {
            await DelayAsync(20, 60);
            _isEbb = true;
            await DelayAsync(40, 120);
            _isEbb = false;
        }
    }

    private async Task SlotAsync(string pod)
    {
        await DelayAsync(0, 20);
        while (!IsSettling)
        {
            if (_isEbb)
            {
                await DelayAsync(1, 5);
                continue;
            }

            var sandbox = new SandboxKey($"c{++_sandboxes}", "eth0");
            var netns = (SafeFileHandle)_machine.Kernel.OpenNamespace(_sandboxes);
            _known[sandbox] = (pod, netns);
            if (await AddAsync(pod, sandbox, netns) is { } address)
            {
                Refused.Remove(pod);
                Pods[pod] = (sandbox, address);
                await DelayAsync(1, _scheduler.Chance(0.3) ? 60 : 20);
                if (IsSettling)
                {
                    return;
                }

                Pods.Remove(pod);
                if (_scheduler.Chance(0.1))
                {
                    // Deleted by force: the successor comes before the end of this one.
                    Start($"late end of {sandbox}", async () =>
                    {
                        await DelayAsync(0, 5);
                        await EndAsync(pod, sandbox, netns);
                    });
                    continue;
                }
            }

            await EndAsync(pod, sandbox, netns);
            await (Refused.ContainsKey(pod) ? DelayAsync(2, 20) : DelayAsync(0, 4)); // kubelet comes back ever more slowly.
        }
    }

    private async Task<Ip?> AddAsync(string pod, SandboxKey sandbox, SafeFileHandle netns)
    {
        if (_faults.Strikes(FaultKind.RuntimeRestarts))
        {
            // It knows nothing of its plugin any more, which goes on, and may yet have to write its request.
            Start($"plugin of {sandbox}, without a runtime", () =>
                CallAsync("ADD", sandbox, pod, netns, CancellationToken.None, late: _scheduler.Between(TimeSpan.Zero, TimeSpan.FromSeconds(2))));
            await DelayAsync(0, 1);
            Refused[pod] = "the runtime has started anew";
            return null;
        }

        using var patience = new CancellationTokenSource(_scheduler.Chance(0.1) ? _scheduler.Between(TimeSpan.Zero, TimeSpan.FromSeconds(3)) : TimeSpan.FromSeconds(240), _clock);
        var reply = await CallAsync("ADD", sandbox, pod, netns, patience.Token);
        if (patience.IsCancellationRequested || reply is not { ExitCode: 0 })
        {
            Refused[pod] = reply is null ? "the executor does not run" : System.Text.Encoding.UTF8.GetString(reply.Body);
            return null;
        }

        using var result = JsonDocument.Parse(reply.Body);
        return Ip.Parse(result.RootElement.GetProperty("ips")[0].GetProperty("address").GetString()!.Split('/')[0]);
    }

    /// <summary>DEL until it succeeds, sometimes once more; then the namespace goes. Sometimes that alone happens.</summary>
    private async Task EndAsync(string pod, SandboxKey sandbox, SafeFileHandle netns)
    {
        if (!_scheduler.Chance(0.03))
        {
            do
            {
                // Without an executor the plugin's DEL succeeds: the executor cleans up at its start.
                while (_machine.Executor is not null)
                {
                    if (await CallAsync("DEL", sandbox, pod, null, CancellationToken.None) is { ExitCode: 0 })
                    {
                        _machine.Deleted.Add(sandbox);
                        break;
                    }

                    await DelayAsync(0.5, 2);
                }
            }
            while (_scheduler.Chance(0.1));
        }

        await DelayAsync(0, 0.5);
        _machine.Kernel.EndNamespace((long)netns.DangerousGetHandle());
        _known.Remove(sandbox);
    }

    private async Task<PluginReply?> CallAsync(string command, SandboxKey sandbox, string pod, SafeFileHandle? netns, CancellationToken cancellation, TimeSpan late = default)
    {
        if (_machine.Executor is not { } executor)
        {
            await DelayAsync(0.2, 1);
            return null;
        }

        _counted();
        Pending++;
        var reply = await executor.ServeAsync(command, sandbox, pod, netns, cancellation, late);
        Pending--;
        return reply;
    }

    private Task DelayAsync(double least, double most) => Task.Delay(_scheduler.Between(TimeSpan.FromSeconds(least), TimeSpan.FromSeconds(most)), _clock);
}
