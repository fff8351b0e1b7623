using AwsVpcCni.Tests.Simulation.Scheduling;

namespace AwsVpcCni.Tests.Simulation.Cluster;

/// <summary>One silo's process: its activations and its door live and die with it.</summary>
internal sealed class SiloNode(Scheduler scheduler, string name, WallClock wall)
{
    public string Name => name;

    public WallClock Wall => wall;

    public Life Life { get; private set; } = new(name);

    public SimLane Door { get; private set; } = null!;

    public Clock Clock { get; private set; } = null!;

    public bool IsUp => !Life.IsOver;

    public void Start()
    {
        Life = new Life(name);
        Door = new SimLane(scheduler, Life, $"{name} door") { Owner = this };
        Clock = new Clock(scheduler, Life, wall);
    }
}
