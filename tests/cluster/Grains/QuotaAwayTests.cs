using System.Text.Json;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>The budget's grain fails, so nothing is sent to EC2.</summary>
public sealed class QuotaAwayTests
{
    [Fact]
    public async Task What_got_no_permit_is_not_of_unknown_effect()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "2 addresses");
        var refusals = await AwayAsync(world, Ec2Action.AssignPrivateIpAddresses);

        world.Settings.Pool = world.Settings.Pool with { WarmIps = 4 };
        await GrainWorld.UntilAsync(executor, _ => refusals() >= 3, "a second try");

        var intent = Assert.Single(JsonSerializer.Deserialize<NodeDocument>(world.Documents.Read("node", GrainId.Create("node", id)).Json!, DocumentJson.Options)!.Intents);
        Assert.Equal((IntentKind.Draw, false, false), (intent.Kind, intent.EffectUnknown, intent.WasUnknown));
        await UntilToldAsync(executor);

        world.Documents.BeforeWrite = null;
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 4, "4 addresses");
    }

    [Fact]
    public async Task A_return_that_got_no_permit_is_the_operators_trouble_and_no_pods()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1, MaxEnis = 1 });
        var executor = await world.JoinAsync(world.Launch("t3.nano")); // An address, and no room for another while it is being returned.
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 1, "an address");
        var refusals = await AwayAsync(world, Ec2Action.UnassignPrivateIpAddresses);
        world.Settings.Pool = world.Settings.Pool with { WarmIps = 0 };
        await GrainWorld.UntilAsync(executor, _ => refusals() >= 2, "the return to be tried");

        var waits = Assert.IsType<AssignReply.NotYet>(await executor.AddAsync("pod"));

        Assert.Equal(ReasonCode.Drawing, waits.Why.Code);
        Assert.Contains("is being returned", waits.Why.Text, StringComparison.Ordinal);
        await UntilToldAsync(executor); // By a sync that says that nobody waits any more.
    }

    private static Task<NodeOrders> UntilToldAsync(FakeExecutor executor) =>
        GrainWorld.UntilAsync(executor, async _ => (await executor.Node.SummarizeAsync()).Trouble?.Contains("the store is away", StringComparison.Ordinal) == true, "the trouble to be told");

    /// <summary>Spends what the budget has granted ahead, and nothing more is granted.</summary>
    /// <returns>How often it could not write.</returns>
    private static async Task<Func<int>> AwayAsync(GrainWorld world, Ec2Action action)
    {
        var refusals = 0;
        world.Documents.BeforeWrite = name =>
        {
            if (name != "quota")
            {
                return Task.CompletedTask;
            }

            Interlocked.Increment(ref refusals);
            throw new StoreException("the store is away, as the test wished");
        };
        while (refusals == 0)
        {
            await Record.ExceptionAsync(() => world.Grains.GetGrain<IEc2QuotaGrain>(world.Settings.QuotaKey).TakeAsync(action, CallPriority.WarmPool));
        }

        return () => refusals;
    }
}
