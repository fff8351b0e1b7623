using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using AwsVpcCni.Silo.NodeApi;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Tests.Cluster.Storage;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>Real silo processes on one DynamoDB, in its network namespace, each with ports of its own. What they log is in a folder that goes with them.</summary>
/// <param name="settings">Over those that are here.</param>
/// <param name="program">Null: the one that was built for the tests.</param>
internal sealed partial class SiloProcesses(
    DynamoDbLocal dynamo, DynamoDbStore store, IEnumerable<KeyValuePair<string, string>>? settings = null, string? program = null) : IAsyncDisposable
{
    public const string VpcId = "vpc-0123456789abcdef0";
    public const string Region = "us-east-1";

    /// <summary>For what takes seconds on an idle machine.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private static readonly string[] OfSilosOnly =
    [
        "Ec2__Region", "Ec2__Endpoint", "Pool__Cooldown", "Pool__MinimumIps", "Pool__WarmIps", "Storage__Provider", "Storage__Path", "Storage__AddressTable", "Storage__HistoryTable",
        "Storage__GrainTable", "Storage__AttemptDeadline", "Silo__Address", "Silo__Port", "Silo__GatewayPort", "Silo__GatewayForEdges",
    ];

    private readonly Dictionary<int, Process> _running = [];
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    /// <summary>Over the settings of all, of one silo.</summary>
    public Dictionary<int, Dictionary<string, string>> Own { get; } = [];

    /// <summary>Of silos that are of another build when they are started next.</summary>
    public Dictionary<int, string?> Programs { get; } = [];

    /// <summary>For files of who uses them.</summary>
    public DirectoryInfo Folder { get; } = Directory.CreateTempSubdirectory("avc-silos-");

    /// <summary>A silo's node API.</summary>
    public static Uri DoorOf(int number) => new($"http://127.0.0.1:{21000 + number}");

    /// <summary>What the silo of this number has logged: the one that was started last.</summary>
    public string LogOf(int number) => Path.Combine(Folder.FullName, $"silo{number}.log");

    /// <summary>Of one that runs.</summary>
    public int ProcessOf(int number) => _running[number].Id;

    public string TokenOf(string instanceId) => NodeTokens.Issue(_key, "aws-vpc-cni", instanceId, TimeProvider.System.GetUtcNow(), TimeSpan.FromHours(12));

    /// <summary>Starts silos 1 to <paramref name="count"/>; the first one makes the tables.</summary>
    public async Task StartAllAsync(int count, CancellationToken cancellation)
    {
        for (var number = 1; number <= count; number++)
        {
            Start(number);
            if (number is 1)
            {
                await ReadyAsync(number, cancellation);
            }
        }

        for (var number = 2; number <= count; number++)
        {
            await ReadyAsync(number, cancellation);
        }
    }

    /// <summary>Starts one, for the first time or after its end.</summary>
    public void Start(int number) => Start(number, words: []);

    /// <summary>Starts an edge, with the settings that it needs.</summary>
    public void StartEdge(int number) => Start(number, words: ["edge"]);

    private void Start(int number, string[] words)
    {
        var key = Path.Combine(Folder.FullName, "key.pub");
        File.WriteAllText(key, _key.ExportSubjectPublicKeyInfoPem());
        var start = dynamo.Inside(LogOf(number), [Programs.GetValueOrDefault(number) ?? program ?? Path.Combine(AppContext.BaseDirectory, "silo"), .. words]);
        var all = new Dictionary<string, string>
        {
            ["AWS_ACCESS_KEY_ID"] = DynamoDbProxy.AccessKey,
            ["AWS_SECRET_ACCESS_KEY"] = "y",
            ["Cluster__Name"] = "test",
            ["Ec2__Region"] = Region,
            ["Ec2__VpcId"] = VpcId,
            ["Ec2__Endpoint"] = "http://127.0.0.1:9",
            ["Storage__Region"] = Region,
            ["Storage__Provider"] = StorageOptions.DynamoDb,
            ["Storage__ServiceUrl"] = store.Settings.ServiceUrl!,
            ["Storage__AddressTable"] = store.Settings.AddressTable,
            ["Storage__HistoryTable"] = store.Settings.HistoryTable,
            ["Storage__GrainTable"] = store.Settings.GrainTable,
            ["Storage__MembershipTable"] = store.Settings.MembershipTable,
            // Three processes and a Java that has just started, on a machine that may be busy: these tests are not about the store's time.
            ["Storage__AttemptDeadline"] = "00:00:05",
            ["Storage__DocumentDeadline"] = "00:00:05",
            ["Silo__Clustering"] = SiloNetworkOptions.DynamoDb,
            ["Silo__Port"] = $"{11110 + number}",
            ["Silo__GatewayPort"] = $"{30000 + number}",
            ["Http__Port"] = $"{20000 + number}",
            ["NodeApi__Port"] = $"{21000 + number}",
            ["NodeApi__TokenKeyPath"] = key,
        };
        foreach (var (name, value) in all.Concat(settings ?? []).Concat(Own.GetValueOrDefault(number, [])))
        {
            if (words is [] || !OfSilosOnly.Contains(name))
            {
                start.Environment[name] = value;
            }
        }

        _running[number] = Process.Start(start)!;
    }

    /// <summary>What <c>/readyz</c> answers; null: nobody is there to say it.</summary>
    public static async Task<HttpStatusCode?> ReadinessAsync(HttpClient http, int number, CancellationToken cancellation) => (await ReadinessSaidAsync(http, number, cancellation)).Status;

    /// <summary>The same with its words.</summary>
    public static async Task<(HttpStatusCode? Status, string Said)> ReadinessSaidAsync(HttpClient http, int number, CancellationToken cancellation)
    {
        try
        {
            using var answer = await http.GetAsync(new Uri($"http://127.0.0.1:{20000 + number}/readyz"), cancellation);
            return (answer.StatusCode, await answer.Content.ReadAsStringAsync(cancellation));
        }
        catch (HttpRequestException e)
        {
            return (null, e.Message);
        }
    }

    public async Task ReadyAsync(int number, CancellationToken cancellation)
    {
        using var http = dynamo.Http();
        await UntilAsync($"silo {number} to be ready", async () => await ReadinessAsync(http, number, cancellation) is HttpStatusCode.OK, cancellation);
    }

    /// <summary>Another one in the place of one that has ended.</summary>
    public async Task RestartAsync(int number, CancellationToken cancellation)
    {
        Start(number);
        await ReadyAsync(number, cancellation);
    }

    /// <param name="signal">Its name without SIG.</param>
    public async Task SignalAsync(int number, string signal, CancellationToken cancellation)
    {
        if (_running[number] is { HasExited: false } silo) // Else its number may be another's.
        {
            using var kill = Process.Start("kill", [$"-{signal}", $"{silo.Id}"]);
            await kill.WaitForExitAsync(cancellation);
        }
    }

    /// <summary>Waits for its end.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> EndAsync(int number, CancellationToken cancellation)
    {
        var silo = _running[number];
        await UntilAsync($"silo {number} to end", () => Task.FromResult(silo.HasExited), cancellation);
        _running.Remove(number);
        using (silo)
        {
            return silo.ExitCode;
        }
    }

    /// <summary>Which silo has a node's grain: the one where it has said something last. Nodes of which none has said anything are left out.</summary>
    public Dictionary<string, int> GrainsBySaid()
    {
        Dictionary<string, (string At, int Silo)> last = [];
        foreach (var number in _running.Keys)
        {
            foreach (var said in File.ReadLines(LogOf(number)).Select(line => NodeGrainSays().Match(line)).Where(said => said.Success))
            {
                var (at, node) = (said.Groups[1].Value, said.Groups[2].Value);
                if (string.CompareOrdinal(at, last.GetValueOrDefault(node).At) > 0)
                {
                    last[node] = (at, number);
                }
            }
        }

        return last.ToDictionary(node => node.Key, node => node.Value.Silo);
    }

    /// <summary>The silo that has most of the nodes' grains.</summary>
    public int Busiest() => GrainsBySaid().CountBy(node => node.Value).MaxBy(silo => silo.Value).Key;

    /// <summary>By the number in the ports: the order in which they were started.</summary>
    public async Task<List<SiloStatus>> StatusesAsync() =>
        [.. (await store.Membership().ReadAll()).Members.Select(member => member.Item1).OrderBy(silo => silo.SiloAddress.Endpoint.Port).Select(silo => silo.Status)];

    /// <exception cref="TimeoutException">It has not come true; with the end of each silo's log.</exception>
    public Task UntilAsync(string what, Func<Task<bool>> holds, CancellationToken cancellation) => UntilAsync(() => what, holds, cancellation);

    /// <inheritdoc cref="UntilAsync(string, Func{Task{bool}}, CancellationToken)"/>
    public async Task UntilAsync(Func<string> what, Func<Task<bool>> holds, CancellationToken cancellation)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (!await holds())
        {
            if (TimeProvider.System.GetElapsedTime(began) > Patience)
            {
                throw new TimeoutException($"waited {Patience.TotalSeconds} s for {what()}; the silos' logs end: "
                    + string.Join("; ", Folder.GetFiles("*.log").Select(log => File.ReadLines(log.FullName).LastOrDefault())));
            }

            await Task.Delay(50, cancellation);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var silo in _running.Values)
        {
            if (!silo.HasExited)
            {
                silo.Kill();
                await silo.WaitForExitAsync(CancellationToken.None);
            }

            silo.Dispose();
        }

        _key.Dispose();
        Folder.Delete(recursive: true);
    }

    [GeneratedRegex(@"^(\S+) \S+ AwsVpcCni\.Grains\.Node\.NodeGrain\[\d+\] (i-[0-9a-f]+)")]
    private static partial Regex NodeGrainSays();
}
