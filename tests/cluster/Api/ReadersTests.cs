using System.Collections.Immutable;
using System.Net;
using System.Text.Json;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Grains.Vpc;
using AwsVpcCni.Silo.Api;
using AwsVpcCni.Silo.Views;
using AwsVpcCni.Tests.Cluster.NodeApi;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Api;

/// <summary>Many readers at the silo's own ports: what they cost the grains, who is told to come back, and that nodes are served meanwhile.</summary>
public sealed class ReadersTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Two_hundred_readers_cost_each_subnet_one_read_a_second()
    {
        await using var door = await Door.OpenAsync(_ => [("Http:Readers", "50")]); // And 200 wait.
        AnswerSubnets(door);
        using var http = new HttpClient { BaseAddress = door.HealthUrl };

        for (var second = 1; second <= 3; second++)
        {
            var answers = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => http.GetAsync("/api/v1/subnets", Cancellation)));
            Assert.All(answers, answer => Assert.Equal(HttpStatusCode.OK, answer.StatusCode));
            Assert.Equal(second, door.Calls.Count(call => call is { Key: "subnet-1", Method: nameof(ISubnetGrain.SummarizeAsync) }));
            door.Time.Advance(Recent<object>.Age);
        }
    }

    [Fact]
    public async Task Two_hundred_readers_of_a_page_of_nodes_or_of_the_pods_that_wait_cost_each_node_one_question_a_second()
    {
        await using var door = await Door.OpenAsync(_ => [("Http:Readers", "50")]);
        var nodes = Enumerable.Range(0, 150).Select(node => $"i-{node:x8}").ToImmutableArray();
        door.Answers[nameof(IVpcGrain.NodesAsync)] = () => Task.FromResult(nodes);
        door.Answers[nameof(INodeGrain.SummarizeAsync)] = () => Task.FromResult(new NodeSummary("i-00000000", "m5.large", "a", ImmutableSortedDictionary<string, SubnetShare>.Empty, 0, 0, 0, 0, 0, 0, null, null, 0, null));
        door.Answers[nameof(INodeGrain.WaitingAsync)] = () => Task.FromResult<ImmutableArray<WaitingPod>>([]);
        using var http = new HttpClient { BaseAddress = door.HealthUrl };

        for (var second = 1; second <= 2; second++)
        {
            foreach (var (path, method, asked) in new[] { ("/api/v1/nodes?limit=100", nameof(INodeGrain.SummarizeAsync), 100), ("/v1/waiting", nameof(INodeGrain.WaitingAsync), 150) })
            {
                var answers = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => http.GetAsync(path, Cancellation)));
                Assert.All(answers, answer => Assert.Equal(HttpStatusCode.OK, answer.StatusCode));
                var calls = door.Calls.Where(call => call.Method == method).ToArray();
                Assert.Equal((second * asked, asked), (calls.Length, calls.DistinctBy(call => call.Key).Count()));
            }

            door.Time.Advance(Recent<object>.Age);
        }
    }

    [Fact]
    public async Task Policy_and_switches_are_read_once_a_second_and_have_places_that_readers_do_not_take()
    {
        await using var door = await Door.OpenAsync(_ => [("Http:Readers", "2")]);
        var (held, reads) = (new TaskCompletionSource<ImmutableArray<string>>(), 0);
        door.Answers[nameof(IVpcGrain.NodesAsync)] = () => held.Task;
        using var http = new HttpClient { BaseAddress = door.HealthUrl };
        const int taken = 2 + (2 * ReadersPolicy.WaitingForEach);
        var readers = Enumerable.Range(0, taken + 1).Select(number => http.GetAsync(number % 2 == 0 ? "/v1/waiting" : "/v1/nodes/i-0123456789abcdef0/waiting", Cancellation)).ToList();
        var refused = await await Task.WhenAny(readers).WaitAsync(Patience, Cancellation); // Whichever came last.
        Assert.Equal((HttpStatusCode.TooManyRequests, "application/problem+json"), (refused.StatusCode, refused.Content.Headers.ContentType?.MediaType));

        var none = new ClusterPolicies(0, null, ImmutableSortedDictionary<string, PoolPolicy>.Empty, null, []);
        door.Answers[nameof(IClusterGrain.ReadAsync)] = () =>
        {
            Interlocked.Increment(ref reads);
            return Task.FromResult(none);
        };
        for (var asked = 0; asked < 20; asked++)
        {
            Assert.Equal(HttpStatusCode.OK, (await http.GetAsync(asked % 2 == 0 ? "/v1/policy" : "/v1/switches", Cancellation)).StatusCode);
        }

        Assert.InRange(reads, 1, 2); // The silo's own follower reads it, too.
        held.SetResult([]);
        await Task.WhenAll(readers).WaitAsync(Patience, Cancellation);
    }

    [Fact]
    public async Task Beyond_the_bound_readers_are_told_to_come_back_and_nodes_are_served_all_the_same()
    {
        await using var door = await Door.OpenAsync(_ => [("Http:Readers", "2")]);
        var held = new TaskCompletionSource<ImmutableArray<string>>();
        door.Answers[nameof(IVpcGrain.NodesAsync)] = () => held.Task;
        using var http = new HttpClient { BaseAddress = door.HealthUrl };
        const int taken = 2 + (2 * ReadersPolicy.WaitingForEach);

        var readers = Enumerable.Range(0, taken + 7).Select(_ => http.GetAsync("/api/v1/nodes", Cancellation)).ToList();
        for (var refused = 0; refused < 7; refused++)
        {
            var early = await Task.WhenAny(readers).WaitAsync(Patience, Cancellation);
            readers.Remove(early);
            var answer = await early;
            Assert.Equal((HttpStatusCode.TooManyRequests, TimeSpan.FromSeconds(1), "application/problem+json"), (answer.StatusCode, answer.Headers.RetryAfter?.Delta, answer.Content.Headers.ContentType?.MediaType));
        }

        using var sync = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(Report(), NodeJson.Default.NodeReport));
        Assert.Equal(HttpStatusCode.OK, (await door.SendAsync(HttpMethod.Post, "/node/v1/sync", sync, door.Token())).StatusCode);
        Assert.Equal("ok\n", await http.GetStringAsync("/healthz", Cancellation));

        held.SetResult([]);
        Assert.All(await Task.WhenAll(readers).WaitAsync(Patience, Cancellation), answer => Assert.Equal(HttpStatusCode.OK, answer.StatusCode));
    }

    [Fact]
    public async Task Who_asks_again_at_once_is_answered_so_often_in_a_second_and_refused_no_faster()
    {
        await using var door = await Door.OpenAsync(_ => [("Http:Readers", "1")]);
        door.Answers[nameof(IVpcGrain.NodesAsync)] = door.Answers[nameof(IVpcGrain.SubnetsAsync)] = () => Task.FromResult<ImmutableArray<string>>([]);
        door.Answers[nameof(IEc2QuotaGrain.SummarizeAsync)] = () => Task.FromResult<ImmutableArray<ActionBudget>>([]);
        using var http = new HttpClient { BaseAddress = door.HealthUrl };
        var (answered, refused, began) = (0, 0, TimeProvider.System.GetTimestamp());

        while (refused < 4)
        {
            using var answer = await http.GetAsync("/api/v1/nodes", Cancellation);
            (answered, refused) = answer.StatusCode == HttpStatusCode.TooManyRequests ? (answered, refused + 1) : (answered + 1, refused);
        }

        // What the bucket holds at first, and what has come back since: a tenth each tenth of a second, and one that was just due.
        var seconds = TimeProvider.System.GetElapsedTime(began).TotalSeconds;
        Assert.InRange(answered, ReadersPolicy.SecondlyForEach, ReadersPolicy.SecondlyForEach * (1.1 + seconds));
        Assert.True(seconds >= 4 * 0.24, $"4 refusals came within {seconds} s");
        Assert.Contains("process_cpu_seconds_total", await http.GetStringAsync("/metrics", Cancellation), StringComparison.Ordinal); // Alarms ring all the same.
    }

    [Fact]
    public async Task A_grain_that_does_not_answer_is_waited_for_five_seconds_and_one_that_fails_shows_no_stack()
    {
        await using var door = await Door.OpenAsync();
        using var http = new HttpClient { BaseAddress = door.HealthUrl };
        var asked = new TaskCompletionSource();
        door.Answers[nameof(IVpcGrain.NodesAsync)] = () =>
        {
            asked.TrySetResult();
            return new TaskCompletionSource<ImmutableArray<string>>().Task;
        };
        var late = http.GetAsync("/api/v1/nodes", Cancellation);
        await asked.Task.WaitAsync(Patience, Cancellation);
        while (!late.IsCompleted)
        {
            door.Time.Advance(TimeSpan.FromSeconds(5)); // The wait may begin a moment after the call.
            await Task.WhenAny(late, Task.Delay(20, Cancellation));
        }

        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await late).StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(1), (await late).Headers.RetryAfter?.Delta);

        door.Answers[nameof(IVpcGrain.NodesAsync)] = () => Task.FromException<ImmutableArray<string>>(new InvalidOperationException("broken inside"));
        var broken = await http.GetAsync("/api/v1/nodes", Cancellation);
        var said = await broken.Content.ReadAsStringAsync(Cancellation);
        Assert.Equal((HttpStatusCode.InternalServerError, "application/problem+json"), (broken.StatusCode, broken.Content.Headers.ContentType?.MediaType));
        Assert.DoesNotContain("broken inside", said, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_that_does_not_answer_is_asked_again_after_five_seconds()
    {
        await using var door = await Door.OpenAsync();
        using var http = new HttpClient { BaseAddress = door.HealthUrl };
        var asked = new TaskCompletionSource();
        door.Answers[nameof(IVpcGrain.NodesAsync)] = () => Task.FromResult<ImmutableArray<string>>(["i-00000000"]);
        door.Answers[nameof(INodeGrain.SummarizeAsync)] = () =>
        {
            asked.TrySetResult();
            return new TaskCompletionSource<NodeSummary>().Task;
        };
        var late = http.GetAsync("/api/v1/nodes", Cancellation);
        await asked.Task.WaitAsync(Patience, Cancellation);
        while (!late.IsCompleted)
        {
            door.Time.Advance(TimeSpan.FromSeconds(5));
            await Task.WhenAny(late, Task.Delay(20, Cancellation));
        }

        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await late).StatusCode);
        door.Answers[nameof(INodeGrain.SummarizeAsync)] = () => Task.FromResult(new NodeSummary("i-00000000", "m5.large", "a", ImmutableSortedDictionary<string, SubnetShare>.Empty, 0, 0, 0, 0, 0, 0, null, null, 0, null));
        door.Time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("/api/v1/nodes", Cancellation).WaitAsync(Patience, Cancellation)).StatusCode);
    }

    [Fact]
    public async Task Operators_questions_are_not_on_the_nodes_port()
    {
        await using var door = await Door.OpenAsync();

        Assert.Equal(HttpStatusCode.NotFound, (await door.SendAsync(HttpMethod.Get, "/api/v1/nodes", null, door.Token())).StatusCode);
    }

    private static void AnswerSubnets(Door door)
    {
        door.Answers[nameof(IVpcGrain.SubnetsAsync)] = () => Task.FromResult<ImmutableArray<string>>(["subnet-1", "subnet-2"]);
        door.Answers[nameof(ISubnetGrain.SummarizeAsync)] = () => Task.FromResult(new SubnetSummary(
            "subnet-1", "eu-west-1a", null, 256, 10, 9, 3, 4, 2, 0, 1, 241, ImmutableSortedDictionary<string, int>.Empty, null, 14));
    }

    private static NodeReport Report() => new()
    {
        Stamp = new Stamp(1, 1), SettledNumber = 1, LeaseVersion = 1, Leased = [], Claims = [], Waiting = [], Freed = [], Ended = [], InterfacesSetUp = [],
    };
}
