using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Silo.NodeApi;
using AwsVpcCni.Silo.Options;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Storage;

/// <summary>Real silo processes on one DynamoDB, without EC2 and without nodes.</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed class SilosTests(DynamoDbLocal dynamo) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan Watched = TimeSpan.FromSeconds(10); // Longer than the three probes after which a silo is dead.

    private readonly DynamoDbStore _store = new(dynamo);
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("avc-silos-");
    private readonly List<Process> _silos = [];
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask; // The silos make the tables.

    public async ValueTask DisposeAsync()
    {
        foreach (var silo in _silos)
        {
            if (!silo.HasExited)
            {
                silo.Kill();
                await silo.WaitForExitAsync(CancellationToken.None);
            }

            silo.Dispose();
        }

        await _store.DisposeAsync();
        _key.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Silos_join_on_empty_tables_a_killed_one_is_found_dead_and_a_stopped_one_leaves()
    {
        var first = Start(1);
        await ReadyAsync(1);
        var (second, _) = (Start(2), Start(3));
        await ReadyAsync(2);
        await ReadyAsync(3);
        Assert.Equal([SiloStatus.Active, SiloStatus.Active, SiloStatus.Active], await StatusesAsync());

        var killed = TimeProvider.System.GetTimestamp();
        first.Kill();
        await UntilAsync("the killed silo to be declared dead", async () => (await StatusesAsync())[0] == SiloStatus.Dead);
        TestContext.Current.SendDiagnosticMessage("declared dead after {0:0.0} s", TimeProvider.System.GetElapsedTime(killed).TotalSeconds);
        await ReadyAsync(2);

        await SignalAsync(second, "TERM");
        await second.WaitForExitAsync(Cancellation).WaitAsync(Patience, Cancellation);
        Assert.Equal(0, second.ExitCode);
        Assert.Equal([SiloStatus.Dead, SiloStatus.Dead, SiloStatus.Active], await StatusesAsync());
        await ReadyAsync(3);
    }

    [Theory]
    [InlineData("KILL")]
    [InlineData("STOP")]
    public async Task When_a_silo_is_killed_or_stands_still_its_nodes_grains_answer_on_the_others_with_what_is_stored(string signal)
    {
        const int Nodes = 50;
        var gone = Start(1);
        await ReadyAsync(1);
        _ = (Start(2), Start(3));
        await ReadyAsync(2);
        await ReadyAsync(3);
        var nodes = Enumerable.Range(1, Nodes).Select(number => new Node(dynamo.Http(), $"i-{number:x17}", 21002 + (number % 2), _key)).ToList();
        try
        {
            await Task.WhenAll(nodes.Select(node => UntilAsync($"{node.Id} to be answered", node.SyncAsync)));
            var incarnations = nodes.Select(node => node.Incarnation).ToList();
            Assert.All(incarnations, incarnation => Assert.True(incarnation > 0, "no incarnation: nothing was stored"));

            var began = TimeProvider.System.GetTimestamp();
            await SignalAsync(gone, signal);
            var silences = await Task.WhenAll(nodes.Select(async node =>
            {
                var (last, longest) = (began, TimeSpan.Zero);
                while (TimeProvider.System.GetElapsedTime(began) < Watched || longest == TimeSpan.Zero)
                {
                    Assert.True(TimeProvider.System.GetElapsedTime(last) < Patience, $"{node.Id} was not answered for {Patience.TotalSeconds} s");
                    if (await node.SyncAsync())
                    {
                        var now = TimeProvider.System.GetTimestamp();
                        (longest, last) = (TimeSpan.FromTicks(Math.Max(longest.Ticks, TimeProvider.System.GetElapsedTime(last, now).Ticks)), now);
                    }

                    await Task.Delay(100, Cancellation);
                }

                return longest;
            }));
            TestContext.Current.SendDiagnosticMessage(
                "SIG{3}: {0} of {1} nodes were not answered for more than 1 s; the longest silence was {2:0.0} s", silences.Count(one => one.TotalSeconds > 1), Nodes, silences.Max().TotalSeconds, signal);

            Assert.Contains(silences, silence => silence > TimeSpan.FromSeconds(1)); // Else no grain was on the killed one.
            Assert.Equal(incarnations, nodes.Select(node => node.Incarnation));
            Assert.Equal(SiloStatus.Dead, (await StatusesAsync())[0]);

            // One that wakes finds itself dead in the table, and ends: it must not go on with grains that others have.
            await SignalAsync(gone, "CONT");
            await gone.WaitForExitAsync(Cancellation).WaitAsync(Patience, Cancellation);
            await Task.WhenAll(nodes.Select(node => UntilAsync($"{node.Id} to be answered", node.SyncAsync)));
            Assert.Equal(incarnations, nodes.Select(node => node.Incarnation));
        }
        finally
        {
            nodes.ForEach(node => node.Dispose());
        }
    }

    // By the number in the ports: the order in which they were started.
    private async Task<List<SiloStatus>> StatusesAsync() =>
        [.. (await _store.Membership().ReadAll()).Members.Select(member => member.Item1).OrderBy(silo => silo.SiloAddress.Endpoint.Port).Select(silo => silo.Status)];

    private async Task ReadyAsync(int number)
    {
        using var http = dynamo.Http();
        await UntilAsync($"silo {number} to be ready", async () =>
        {
            try
            {
                using var answer = await http.GetAsync(new Uri($"http://127.0.0.1:{20000 + number}/readyz"), Cancellation);
                return answer.StatusCode == HttpStatusCode.OK;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        });
    }

    private async Task UntilAsync(string what, Func<Task<bool>> holds)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (!await holds())
        {
            Assert.True(
                TimeProvider.System.GetElapsedTime(began) < Patience,
                $"waited {Patience.TotalSeconds} s for {what}; the silos' logs end: {string.Join("; ", _folder.GetFiles("*.log").Select(log => File.ReadLines(log.FullName).LastOrDefault()))}");
            await Task.Delay(100, Cancellation);
        }
    }

    private static async Task SignalAsync(Process silo, string signal)
    {
        if (!silo.HasExited) // Then its number may be another's.
        {
            using var kill = Process.Start("kill", [$"-{signal}", $"{silo.Id}"]);
            await kill.WaitForExitAsync(Cancellation);
        }
    }

    private Process Start(int number)
    {
        var key = Path.Combine(_folder.FullName, $"key{number}.pub");
        File.WriteAllText(key, _key.ExportSubjectPublicKeyInfoPem());
        var start = new ProcessStartInfo(
            "nsenter",
            [
                $"--net={dynamo.NetworkNamespacePath()}", "sh", "-c", "exec \"$1\" >\"$2\" 2>&1 </dev/null",
                "sh", Path.Combine(AppContext.BaseDirectory, "silo"), Path.Combine(_folder.FullName, $"silo{number}.log"),
            ]);
        foreach (var (name, value) in new Dictionary<string, string>
        {
            ["AWS_ACCESS_KEY_ID"] = "x",
            ["AWS_SECRET_ACCESS_KEY"] = "y",
            ["Cluster__Name"] = "test",
            ["Ec2__Region"] = "us-east-1",
            ["Ec2__VpcId"] = "vpc-0123456789abcdef0",
            ["Ec2__Endpoint"] = "http://127.0.0.1:9",
            ["Storage__Provider"] = StorageOptions.DynamoDb,
            ["Storage__ServiceUrl"] = _store.Settings.ServiceUrl!,
            ["Storage__AddressTable"] = _store.Settings.AddressTable,
            ["Storage__GrainTable"] = _store.Settings.GrainTable,
            ["Storage__MembershipTable"] = _store.Settings.MembershipTable,
            // Three processes and a Java that has just started, on a machine that may be busy: these tests are not about the store's time.
            ["Storage__AttemptDeadline"] = "00:00:05",
            ["Storage__DocumentDeadline"] = "00:00:05",
            ["Silo__Clustering"] = "dynamodb",
            ["Silo__Port"] = $"{11110 + number}",
            ["Silo__GatewayPort"] = $"{30000 + number}",
            ["Http__Port"] = $"{20000 + number}",
            ["NodeApi__Port"] = $"{21000 + number}",
            ["NodeApi__TokenKeyPath"] = key,
        })
        {
            start.Environment[name] = value;
        }

        var silo = Process.Start(start)!;
        _silos.Add(silo);
        return silo;
    }

    /// <summary>A node that reports to one silo's door, whichever silo has its grain.</summary>
    private sealed class Node(HttpClient http, string id, int port, ECDsa key) : IDisposable
    {
        private readonly string _token = NodeTokens.Issue(key, "aws-vpc-cni", id, TimeProvider.System.GetUtcNow(), TimeSpan.FromHours(1));
        private long _number;

        public string Id => id;

        /// <summary>What the grain has given it, from the document.</summary>
        public long Incarnation { get; private set; }

        /// <summary>Whether its grain has answered.</summary>
        public async Task<bool> SyncAsync()
        {
            var report = new NodeReport
            {
                Stamp = new Stamp(Incarnation, ++_number), SettledNumber = 0, LeaseVersion = 0, Leased = [], Claims = [], Waiting = [], Freed = [], Ended = [], InterfacesSetUp = [],
            };
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri($"http://127.0.0.1:{port}/node/v1/sync"))
            {
                Version = HttpVersion.Version20,
                VersionPolicy = HttpVersionPolicy.RequestVersionExact,
                Content = JsonContent.Create(report, NodeJson.Default.NodeReport),
            };
            request.Headers.Authorization = new("Bearer", _token);
            using var answer = await http.SendAsync(request, Cancellation);
            if (answer.StatusCode != HttpStatusCode.OK)
            {
                return false;
            }

            Incarnation = (await answer.Content.ReadFromJsonAsync(NodeJson.Default.NodeOrders, Cancellation))!.Incarnation;
            return true;
        }

        public void Dispose() => http.Dispose();
    }
}
