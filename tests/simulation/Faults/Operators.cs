using System.Collections.Immutable;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Tests.Simulation.Cluster;
using AwsVpcCni.Tests.Simulation.Scheduling;
using Orleans.Storage;

namespace AwsVpcCni.Tests.Simulation.Faults;

/// <summary>People who change what nodes should hold: for all nodes or one, by the silos' API or by the settings' file.</summary>
internal sealed class Operators(World world)
{
    private static readonly TimeSpan CallDeadline = TimeSpan.FromSeconds(5); // As the API has it.
    private static readonly TimeSpan StragglersTake = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan LongestSwitched = TimeSpan.FromSeconds(240);
    private static readonly TimeSpan TryAgain = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan FileSpreads = TimeSpan.FromSeconds(5);

    private readonly Scheduler _scheduler = world.Scheduler;

    /// <summary>A policy of any kind; with prefixes in half of them.</summary>
    public static PoolOptions Draw(Random random)
    {
        var options = new PoolOptions
        {
            Prefixes = random.Next(2) == 0, PreferredRest = TimeSpan.FromSeconds(random.Next(2) == 0 ? 45 : 120), MaxEnis = random.Next(6) == 0 ? random.Next(1, 4) : null,
            AdditionalTags = random.Next(4) == 0 ? new() { ["team"] = "net" } : [],
            ManageUntagged = random.Next(4) > 0, Thrift = random.Next(4) > 0, Discovers = random.Next(5) > 0, Subnets = random.Next(3) == 0 ? ["subnet-c"] : [],
        };
        if (random.Next(8) == 0)
        {
            // One of them in each zone; a node's own, or another one.
            (options.CustomNetworking, options.MaxEnis, options.Subnets) = (true, null, random.Next(2) == 0 ? ["subnet-b", "subnet-c"] : ["subnet-a", "subnet-b"]);
            options.SecurityGroups = random.Next(2) == 0 ? ["sg-2"] : [];
        }

        switch (random.Next(6))
        {
            case 0:
                options.WarmIps = random.Next(1, 6);
                break;
            case 1:
                (options.WarmIps, options.MinimumIps) = (random.Next(1, 6), random.Next(12));
                break;
            case 2:
                options.MinimumIps = random.Next(1, 16);
                break;
            case 3:
                options.WarmEnis = random.Next(3);
                break;
            case 4:
                options.WarmPrefixes = random.Next(3);
                break;
        }

        return options;
    }

    /// <summary>One change, somewhere. Now and then it leaves provisioning to somebody else, for a while.</summary>
    public void Act()
    {
        var random = _scheduler.Random;
        PoolOptions Drawn(string? node = null)
        {
            var drawn = Draw(random);
            drawn.Provisions = random.Next(3) > 0;
            if (!drawn.Provisions)
            {
                world.LeftToHands.Add(node ?? "");
            }

            return drawn;
        }

        if (random.Next(4) == 0)
        {
            ChangeFile(Drawn());
            return;
        }

        var up = world.Silos.Where(silo => silo.IsUp).ToList();
        if (up.Count > 0)
        {
            var silo = up[random.Next(up.Count)];
            var node = random.Next(3) == 0 ? world.Machines[random.Next(world.Machines.Count)].InstanceId : null;
            var pool = random.Next(4) == 0 ? null : Drawn(node);
            silo.Door.Start("an operator", () => ChangeAsync(silo, node, pool));
        }
    }

    /// <summary>The tags of one subnet change: it is excluded, offered to all of the zone or to another cluster's, or for its own nodes again.</summary>
    public void Retag()
    {
        var (random, tags) = (_scheduler.Random, new Dictionary<string, string>());
        var subnet = world.Vpc.Subnets.ElementAt(random.Next(world.Vpc.Subnets.Count));
        world.Vpc.DeleteTags([subnet.Id], new Dictionary<string, string?> { [World.RoleTag] = null, [World.OthersTag] = null });
        switch (random.Next(6))
        {
            case 0 or 1:
                tags[World.RoleTag] = "0";
                break;
            case 2 or 3:
                tags[World.RoleTag] = "1";
                break;
            case 4:
                (tags[World.RoleTag], tags[World.OthersTag]) = ("1", "shared");
                break;
        }

        world.Vpc.CreateTags([subnet.Id], tags);
        _scheduler.Trace?.Invoke($"operators: {subnet.Id} is tagged {string.Join(' ', tags)}");
    }

    /// <summary>One node, one subnet or all are on hold or frozen, for a while.</summary>
    public void Switch()
    {
        var random = _scheduler.Random;
        var target = random.Next(3) switch { 0 => OperatorSwitches.All, 1 => world.Machines[random.Next(world.Machines.Count)].InstanceId, _ => random.Next(2) == 0 ? "subnet-a" : "subnet-b" };
        var up = world.Silos.Where(silo => silo.IsUp).ToList();
        if (up.Count > 0)
        {
            var silo = up[random.Next(up.Count)];
            var mode = random.Next(2) == 0 ? SwitchMode.Hold : SwitchMode.Frozen;
            silo.Door.Start("an operator", () => SwitchAsync(silo, target, mode));
            _scheduler.After(_scheduler.Between(TimeSpan.FromSeconds(10), LongestSwitched), () => End(target));
        }
    }

    /// <summary>A silo's watch of pods says of some that they are bound to a node: of those that run there, and of those that never will.</summary>
    public void TellBound()
    {
        var random = _scheduler.Random;
        var up = world.Silos.Where(silo => silo.IsUp).ToList();
        if (up.Count > 0)
        {
            var (silo, node) = (up[random.Next(up.Count)], world.Machines[random.Next(world.Machines.Count)].InstanceId);
            ImmutableArray<PodName> pods = [.. Enumerable.Range(0, random.Next(12)).Select(_ => new PodName("default", $"pod-{random.Next(24)}", "")).Distinct()];
            silo.Door.Start("a watch of pods", () => new Factory().GetGrain<INodeGrain>(node).BoundAsync(pods));
        }
    }

    /// <summary>Tried again until it is so.</summary>
    private void End(string target)
    {
        if (!world.Switches.Any(one => one.Target == target))
        {
            return;
        }

        _scheduler.After(TryAgain, () => End(target));
        if (world.Silos.Find(silo => silo.IsUp) is { } silo)
        {
            silo.Door.Start("an operator", () => SwitchAsync(silo, target, SwitchMode.Normal));
        }
    }

    /// <summary>Nothing is switched off, nor left to somebody else any more, once earlier changes have come in.</summary>
    public void Settle() => _scheduler.After(StragglersTake, () =>
    {
        world.SettingsFile.Provisions = true;
        ChangeFile(world.SettingsFile);
        var silo = world.Silos[0];
        silo.Door.Start("an operator", async () =>
        {
            foreach (var node in world.Machines.Select(machine => machine.InstanceId).Prepend(null).ToArray()) // One may be launched meanwhile.
            {
                while (!world.PolicyOf(node ?? "").Provisions)
                {
                    await ChangeAsync(silo, node, null);
                }
            }

            while (world.Switches is [var one, ..])
            {
                await SwitchAsync(silo, one.Target, SwitchMode.Normal);
            }
        });
    });

    private void ChangeFile(PoolOptions options)
    {
        world.SettingsFile = options;
        world.Silos.ForEach(silo => _scheduler.After(_scheduler.Between(TimeSpan.Zero, FileSpreads), () => silo.File.Reload()));
    }

    private static Task ChangeAsync(SiloNode silo, string? node, PoolOptions? pool) =>
        TryAsync(silo, (cluster, version) => cluster.ChangeAsync(new PolicyChange(version, node, pool?.ToPolicy(), "an operator", "a seed")));

    private static Task SwitchAsync(SiloNode silo, string target, SwitchMode mode) =>
        TryAsync(silo, (cluster, version) => cluster.SwitchAsync(new SwitchChange(version, target, mode, "an operator", "a seed")));

    /// <summary>As the API does: reads, changes just that version, and follows at once.</summary>
    private static async Task TryAsync(SiloNode silo, Func<IClusterGrain, long, Task<PolicyReply>> change)
    {
        try
        {
            var read = await silo.Follower.ReadAsync(CallDeadline, CancellationToken.None);
            silo.Follower.Follow((await change(new Factory().GetGrain<IClusterGrain>(World.ClusterName), read.Version).WaitAsync(CallDeadline, silo.Clock)).Now);
        }
        catch (Exception e) when (e is TimeoutException or StoreException or InconsistentStateException or OrleansException)
        {
            // Told to try again; some do, later. What became of it the document says.
        }
    }
}
