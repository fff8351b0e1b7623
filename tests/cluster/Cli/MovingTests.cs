using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.NodeApi;
using AwsVpcCni.Silo.Storage.Sqlite;
using AwsVpcCni.Tests.Cluster.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Cli;

/// <summary>A real silo on a file, and the same cluster's silo on DynamoDB after it.</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed class MovingTests(DynamoDbLocal dynamo) : IAsyncLifetime
{
    private const string Node = "i-00000000000000001";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly DynamoDbStore _store = new(dynamo);
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("avc-moving-");
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private Process? _silo;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string FilePath => Path.Combine(_folder.FullName, "silo.db");

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_silo is not null)
        {
            _silo.Kill();
            await _silo.WaitForExitAsync(CancellationToken.None);
            _silo.Dispose();
        }

        _key.Dispose();
        await _store.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task The_recipe_of_the_documentation_moves_a_silo_to_DynamoDB_and_there_it_answers_with_what_it_had()
    {
        await File.WriteAllTextAsync(Path.Combine(_folder.FullName, "key.pub"), _key.ExportSubjectPublicKeyInfoPem(), Cancellation);
        var tool = Tool().With("Storage__Provider", null).With("Storage__Path", FilePath).With("Storage__ServiceUrl", _store.MovingWay.Url); // Who moves it has rights of their own.
        var row = new AddressRow
        {
            NodeId = Node, Address = Ip.Parse("10.0.0.9"), Sandbox = new SandboxKey("c", "eth0"), Pod = new PodName("default", "web", "uid"), Stamp = new Stamp(1, 1), Since = TimeProvider.System.GetUtcNow(),
        };
        var ended = row with { Pod = new PodName("default", "before", "uid"), Since = row.Since.AddHours(-2), Released = row.Since.AddHours(-1) };
        using (var database = Database.Open(FilePath, TimeProvider.System))
        {
            var book = new Silo.Storage.Sqlite.AddressBook(database, SqliteFile.Options, TimeProvider.System);
            Assert.Null(await book.TryAssignAsync(ended with { Released = null }, Cancellation));
            Assert.True(await book.TryReleaseAsync(ended, Cancellation));
            Assert.Null(await book.TryAssignAsync(row, Cancellation));
        }

        using var http = dynamo.Http();
        await StartAsync(tool, http);
        var change = new HttpRequestMessage(HttpMethod.Put, "http://127.0.0.1:8441/v1/policy")
        {
            Content = JsonContent.Create(new { policy = new { warmIps = 5 }, who = "ada", why = "a test" }), Headers = { IfMatch = { new("\"0\"") } },
        };
        Assert.Equal(HttpStatusCode.OK, (await http.SendAsync(change, Cancellation)).StatusCode);
        var before = (Policy: await PolicyAsync(http), Incarnation: await SyncAsync(http, 0));
        Assert.Equal((1, 5), before.Policy);
        Assert.True(before.Incarnation > 0, "nothing was stored of the node");

        var beside = await tool.RunAsync("export", Path.Combine(_folder.FullName, "beside.jsonl"));
        Assert.Equal(1, beside.ExitCode);
        Assert.Contains("another silo has it", beside.Errors, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(_folder.FullName, "beside.jsonl")));

        await StopAsync();
        var recipe = await tool.RunScriptAsync(Recipe(), _folder.FullName);
        Assert.True(recipe.ExitCode == 0, recipe.Errors);
        Assert.Contains("exported", recipe.Errors, StringComparison.Ordinal);
        Assert.Contains("imported", recipe.Errors, StringComparison.Ordinal);
        Assert.Equal(row, Assert.Single(await _store.Book().ReadNodeAsync(Node, Cancellation)));
        Assert.Equal([ended], await _store.Book().ReadHistoryAsync(row.Address, ended.Since, row.Since, Cancellation));

        await StartAsync(Tool(), http);
        Assert.Equal(before.Policy, await PolicyAsync(http));
        Assert.Equal(before.Incarnation, await SyncAsync(http, before.Incarnation));
        await StopAsync();
    }

    // The block below the heading, as the reader gets it.
    private static string Recipe()
    {
        var text = File.ReadAllText(Path.Combine(Repository.Root, "docs", "operating.md"));
        return text[text.IndexOf("## From SQLite to DynamoDB", StringComparison.Ordinal)..].Split("```")[1];
    }

    private Ipam Tool() => new Ipam(dynamo, _store.Settings)
        .With("NodeApi__TokenKeyPath", Path.Combine(_folder.FullName, "key.pub")).With("Ec2__Endpoint", "http://127.0.0.1:9");

    private async Task StartAsync(Ipam settings, HttpClient http)
    {
        var log = Path.Combine(_folder.FullName, "silo.log");
        _silo = settings.StartSilo(log);
        var began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                using var answer = await http.GetAsync(new Uri("http://127.0.0.1:8441/readyz"), Cancellation);
                if (answer.StatusCode == HttpStatusCode.OK)
                {
                    return;
                }
            }
            catch (HttpRequestException)
            {
                // It does not listen yet.
            }

            if (_silo.HasExited || TimeProvider.System.GetElapsedTime(began) > Patience)
            {
                Assert.Fail($"the silo is not ready; its log: {await File.ReadAllTextAsync(log, Cancellation)}");
            }

            await Task.Delay(100, Cancellation);
        }
    }

    private async Task StopAsync()
    {
        using (var kill = Process.Start("kill", ["-TERM", $"{_silo!.Id}"]))
        {
            await kill.WaitForExitAsync(Cancellation);
        }

        await _silo.WaitForExitAsync(Cancellation).WaitAsync(Patience, Cancellation);
        Assert.Equal(0, _silo.ExitCode);
        _silo.Dispose();
        _silo = null;
    }

    private static async Task<(int Version, int WarmIps)> PolicyAsync(HttpClient http)
    {
        using var answer = await http.GetAsync(new Uri("http://127.0.0.1:8441/v1/policy"), Cancellation);
        var shown = JsonElement.Parse(await answer.Content.ReadAsStringAsync(Cancellation));
        return (int.Parse(answer.Headers.ETag!.Tag.Trim('"'), System.Globalization.CultureInfo.InvariantCulture), shown.GetProperty("policy").GetProperty("warmIps").GetInt32());
    }

    /// <returns>The node's incarnation, which is in its document.</returns>
    private async Task<long> SyncAsync(HttpClient http, long incarnation)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var report = new NodeReport
            {
                Stamp = new Stamp(incarnation, 1), SettledNumber = 0, LeaseVersion = 0, Leased = [], Claims = [], Waiting = [], Freed = [], Ended = [], InterfacesSetUp = [],
            };
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("http://127.0.0.1:8440/node/v1/sync"))
            {
                Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact, Content = JsonContent.Create(report, NodeJson.Default.NodeReport),
            };
            request.Headers.Authorization = new("Bearer", NodeTokens.Issue(_key, "aws-vpc-cni", Node, TimeProvider.System.GetUtcNow(), TimeSpan.FromHours(1)));
            using var answer = await http.SendAsync(request, Cancellation);
            if (answer.StatusCode == HttpStatusCode.OK)
            {
                return (await answer.Content.ReadFromJsonAsync(NodeJson.Default.NodeOrders, Cancellation))!.Incarnation;
            }

            Assert.True(TimeProvider.System.GetElapsedTime(began) < Patience, $"the node is not answered: {await answer.Content.ReadAsStringAsync(Cancellation)}");
            await Task.Delay(100, Cancellation);
        }
    }
}
