using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Vpc;
using AwsVpcCni.Tests.Cluster.Api;
using AwsVpcCni.Tests.Cluster.Grains;
using AwsVpcCni.Tests.Cluster.NodeApi;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Metrics;

/// <summary>What a silo tells Prometheus, over the real grains.</summary>
public sealed class SiloMetricsTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Metrics_have_the_grains_figures_and_promtool_has_nothing_to_say()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0, Provisions = false });
        await using var door = await OperatorDoor.OpenAsync(world);
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 1, "the interface");
        executor.Waiting.Add(new Waiter(new SandboxKey("c1", "eth0"), new PodName("shop", "cart", ""), executor.NextStamp(), 10));
        await executor.SyncAsync();
        var quota = world.Grains.GetGrain<IEc2QuotaGrain>(world.Settings.QuotaKey);
        await quota.TakeAsync(Ec2Action.DeleteNetworkInterface, CallPriority.CleanUp);
        await quota.ThrottledAsync(Ec2Action.AttachNetworkInterface);
        await quota.ThrottledAsync(Ec2Action.AttachNetworkInterface); // Of the same burst: it slows nothing more, and counts.

        var answer = await door.Http.GetAsync("/metrics", Cancellation);
        var text = await answer.Content.ReadAsStringAsync(Cancellation);

        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", answer.Content.Headers.ContentType?.ToString());
        var subnet = await world.SubnetAsync();
        Assert.Equal((subnet.Free, 256), (Value(text, "subnet_free_addresses{subnet=\"subnet-a\"}"), Value(text, "subnet_size_addresses{subnet=\"subnet-b\"}")));
        Assert.Equal((1, 0), (Value(text, "waiting_pods{reason=\"NotProvisioned\"}"), Value(text, "waiting_pods{reason=\"SubnetEmpty\"}")));
        Assert.Equal((1, 2, 0.5), (Value(text, "ec2_calls_total{action=\"DeleteNetworkInterface\",need=\"CleanUp\"}"), Value(text, "ec2_throttled_total{action=\"AttachNetworkInterface\"}"), Value(text, "ec2_budget_factor{action=\"AttachNetworkInterface\"}")));
        Assert.Equal((1, 1), (Value(text, "nodes"), Value(text, "grains_answer")));
        await Promtool.RunAsync(text, ".", "check", "metrics");
    }

    [Fact]
    public async Task The_number_of_series_does_not_grow_with_nodes()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        await using var door = await OperatorDoor.OpenAsync(world);
        var series = new List<int>();
        for (var nodes = 0; nodes < 3; nodes++)
        {
            var executor = await world.JoinAsync(world.Launch());
            await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 1, "an address");
            world.Time.Shift(TimeSpan.FromSeconds(2));
            await Task.Delay(TimeSpan.FromSeconds(1.1), Cancellation); // The text of a second ago is told again.
            var text = await door.Http.GetStringAsync("/metrics", Cancellation);
            Assert.Equal(nodes + 1, Value(text, "nodes"));
            series.Add(text.Split('\n').Count(line => line.Length > 0 && line[0] != '#'));
        }

        Assert.Single(series.Distinct());
    }

    [Fact]
    public async Task Grains_that_do_not_answer_are_said_and_the_rest_is_told_all_the_same()
    {
        await using var door = await Door.OpenAsync();
        door.Answers[nameof(IVpcGrain.SubnetsAsync)] = door.Answers[nameof(IVpcGrain.NodesAsync)] = () => Task.FromException<ImmutableArray<string>>(new StoreException("the store is away"));
        door.Answers[nameof(IEc2QuotaGrain.SummarizeAsync)] = () => Task.FromException<ImmutableArray<ActionBudget>>(new StoreException("the store is away"));
        door.Answers[nameof(IClusterGrain.ReadAsync)] = () => Task.FromException<ClusterPolicies>(new StoreException("the store is away"));
        using var http = new HttpClient { BaseAddress = door.HealthUrl };

        var answer = await http.GetAsync("/metrics", Cancellation);
        var text = await answer.Content.ReadAsStringAsync(Cancellation);

        Assert.Equal((HttpStatusCode.OK, 0), (answer.StatusCode, Value(text, "grains_answer")));
        Assert.True(Value(text, "process_resident_memory_bytes", "") > 1e6);
        Assert.DoesNotContain("subnet_free_addresses{", text, StringComparison.Ordinal);
    }

    private static double Value(string text, string series, string prefix = "aws_vpc_cni_") =>
        Regex.Match(text, $"^{Regex.Escape(prefix + series)} (.*)$", RegexOptions.Multiline) is { Success: true } match
            ? double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) : throw new InvalidOperationException($"no {series} in:\n{text}");
}
