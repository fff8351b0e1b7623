using AwsVpcCni.Grains;
using AwsVpcCni.Silo.Hosting;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Tests.Simulation.Scheduling;

namespace AwsVpcCni.Tests.Simulation.Cluster;

/// <summary>One silo's process: its activations, its door and what its host runs live and die with it.</summary>
internal sealed class SiloNode(Scheduler scheduler, string name, WallClock wall, Func<PoolOptions> file)
{
    public string Name => name;

    public WallClock Wall => wall;

    public Life Life { get; private set; } = new(name);

    public SimLane Door { get; private set; } = null!;

    public Clock Clock { get; private set; } = null!;

    /// <summary>What its grains know of the cluster.</summary>
    public ClusterSettings Settings { get; private set; } = null!;

    public PolicyFile File { get; private set; } = null!;

    public PolicyFollower Follower { get; private set; } = null!;

    public bool IsUp => !Life.IsOver;

    /// <param name="settings">With the policy of its settings: what operators have set it hears from the cluster's grain.</param>
    public void Start(Func<PoolOptions, ClusterSettings> settings)
    {
        Life = new Life(name);
        Door = new SimLane(scheduler, Life, $"{name} door") { Owner = this };
        Clock = new Clock(scheduler, Life, wall);
        File = new PolicyFile(file);
        Settings = settings(File.CurrentValue);
        Follower = new PolicyFollower(File.Configuration, File, new Factory(), Settings, Clock, new SimLog<PolicyFollower>(scheduler));
        Door.Start("the policy's follower", () => Follower.FollowAsync(CancellationToken.None));
        Door.Start("keep awake", () => new KeepAwake(new Factory(), Settings, Clock, new SimLog<KeepAwake>(scheduler)).PingAsync(CancellationToken.None));
    }
}
