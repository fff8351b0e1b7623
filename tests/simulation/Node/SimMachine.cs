using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Wiring;
using AwsVpcCni.Tests.Simulation.Cluster;
using AwsVpcCni.Tests.Simulation.Faults;
using AwsVpcCni.Tests.Simulation.Scheduling;
using AwsVpcCni.VpcEmulator.Model;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.Tests.Simulation.Node;

/// <summary>One instance: kernel and disk outlive its executors, the disk outlives reboots, all end with it.</summary>
internal sealed class SimMachine(Scheduler scheduler, Swarm faults, string instanceId)
{
    private int _starts;
    private int _boots = 1;

    public string InstanceId => instanceId;

    /// <summary>From one start of the machine to the next.</summary>
    public Life Boot { get; private set; } = new(instanceId);

    public TimeSpan BootedAt { get; private set; }

    public string BootId => $"boot-{_boots}";

    public WallClock Wall { get; } = new();

    public FakeKernel Kernel { get; } = new(scheduler, faults);

    public MemoryDisk Disk { get; } = new(faults, scheduler.Random);

    /// <summary>Null while none runs.</summary>
    public SimExecutor? Executor { get; private set; }

    /// <summary>What an executor of it has ever refused for a sandbox: silos may end such a row though the sandbox has got the address after all.</summary>
    public HashSet<(SandboxKey Sandbox, Ip Address)> Refused { get; } = [];

    /// <summary>Sandboxes whose DEL an executor has answered: nothing of them is wired any more.</summary>
    public HashSet<SandboxKey> Deleted { get; } = [];

    public bool IsGone { get; private set; }

    /// <summary>What the disk says that the node may use: a consent must be there before anybody hears of it.</summary>
    public NodeLease? LeaseOnDisk() => new LeaseFile(Disk, BootId).Read(instanceId).Lease;

    public void StartExecutor(Transport transport, List<SiloNode> silos, Func<string, Eni?> find, ILogger log)
    {
        if (IsGone || Executor is not null)
        {
            return;
        }

        var life = new Life($"executor {++_starts} of {instanceId}", Boot);
        new SimLane(scheduler, life, $"{life.Name}: start").Start("the start", () =>
        {
            try
            {
                Executor = new SimExecutor(scheduler, life, this, new SimNodeApi(scheduler, faults, transport, silos, instanceId, request => Refused.UnionWith(request.Refused.Select(refusal => (request.Sandbox, refusal.Address)))), new SimInterfaces(scheduler, faults, find), log);
            }
            catch (Exception e) when (e is IOException or WiringException)
            {
                life.End();
                scheduler.After(TimeSpan.FromSeconds(1), () => StartExecutor(transport, silos, find, log)); // As systemd or kubelet does.
            }

            return Task.CompletedTask;
        });
    }

    public void KillExecutor()
    {
        Executor?.Kill();
        Executor = null;
    }

    /// <summary>All processes and all of the network go; what is on the disk stays.</summary>
    /// <param name="cutsPower">Then only what was flushed to it.</param>
    public void Reboot(bool cutsPower)
    {
        KillExecutor();
        Boot.End();
        Kernel.Restart();
        if (cutsPower)
        {
            Disk.LosePower();
        }

        (Boot, BootedAt) = (new Life($"{instanceId}, boot {++_boots}"), scheduler.Now);
    }

    /// <summary>The instance is terminated.</summary>
    public void End()
    {
        KillExecutor();
        Boot.End();
        IsGone = true;
        Kernel.Clear();
    }
}
