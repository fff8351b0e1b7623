using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.Json;
using AwsVpcCni.Silo.NodeApi;
using AwsVpcCni.VpcEmulator.Control;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.Tests.Fleet.RealTime;

/// <summary>The shipped silo, on SQLite, and the emulated EC2 with its buckets: a process each, on loopback, with files in a folder that goes with them.</summary>
internal sealed class Programs : IAsyncDisposable
{
    private const string BudgetShare = "0.97";
    private const int MostEdges = 2;
    private const int SilosPlace = 1; // Among those that run: EC2 comes before it, edges behind.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly List<Process> _running = [];
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(30) };
    private readonly int[] _ports = FreePorts(5 + (2 * MostEdges));

    private Programs()
    {
    }

    /// <summary>Executors' files: on a node each has a disk of its own, so here they are in memory.</summary>
    public DirectoryInfo Nodes { get; } = Directory.CreateDirectory($"/dev/shm/avc-fleet-{Environment.ProcessId}");

    public DirectoryInfo Folder { get; } = Directory.CreateTempSubdirectory("avc-fleet-");

    public Uri Door => new($"http://127.0.0.1:{_ports[1]}");

    public ProcessFigures Silo => new(_running[SilosPlace]);

    public IReadOnlyList<ProcessFigures> Edges => [.. _running.Skip(SilosPlace + 1).Select(edge => new ProcessFigures(edge))];

    private Uri Ec2 => new($"http://127.0.0.1:{_ports[0]}");

    /// <param name="settings">Over the silo's own.</param>
    public static async Task<Programs> StartAsync(VpcDescription vpc, IReadOnlyDictionary<string, string> settings, CancellationToken cancellation)
    {
        var programs = new Programs();
        try
        {
            await programs.StartEc2Async(vpc, cancellation);
            await programs.StartSiloAsync(settings, cancellation);
            return programs;
        }
        catch
        {
            await programs.DisposeAsync();
            throw;
        }
    }

    /// <summary>The node's id, once its token is in the folder of <see cref="Nodes"/>.</summary>
    public string Prepared(string instanceId)
    {
        File.WriteAllText(
            Path.Combine(Nodes.FullName, $"{instanceId}.token"), NodeTokens.Issue(_key, "aws-vpc-cni", instanceId, TimeProvider.System.GetUtcNow(), TimeSpan.FromHours(12)));
        return instanceId;
    }

    /// <summary>Where an executor turns to: edges by turns, where there are any, else the silo.</summary>
    public IReadOnlyList<Uri> DoorsFrom(int turn)
    {
        var edges = Edges.Count;
        return edges == 0 ? [Door] : [.. Enumerable.Range(turn, edges).Select(n => new Uri($"http://127.0.0.1:{EdgePorts(n % edges).Door}"))];
    }

    /// <summary>The HTTP API's answer of the silo.</summary>
    public Task<string> AskAsync(string path, CancellationToken cancellation) => _http.GetStringAsync(new Uri($"http://127.0.0.1:{_ports[2]}{path}"), cancellation);

    /// <summary>One more edge before the silo.</summary>
    public Task StartEdgeAsync(CancellationToken cancellation)
    {
        var (door, http) = EdgePorts(Edges.Count);
        Dictionary<string, string> settings = new()
        {
            ["Cluster__Name"] = FleetVpc.Cluster,
            ["Ec2__VpcId"] = FleetVpc.Id,
            ["Edge__Gateways__0"] = $"127.0.0.1:{_ports[4]}",
            ["NodeApi__Address"] = "127.0.0.1",
            ["NodeApi__Port"] = $"{door}",
            ["NodeApi__ConnectionsPerAddress"] = "20000",
            ["NodeApi__TokenKeyPath"] = KeyPath,
            ["Http__Port"] = $"{http}",
        };
        return StartAsync("silo", ["edge"], settings, new Uri($"http://127.0.0.1:{http}/readyz"), cancellation, $"edge-{Edges.Count}");
    }

    public async Task<IReadOnlyList<CallEntry>> CallsAsync(long after, CancellationToken cancellation) =>
        (await _http.GetFromJsonAsync<List<CallEntry>>(new Uri(Ec2, $"/_emulator/calls?after={after}"), CallEntry.Json, cancellation))!;

    public async Task<VpcState> StateAsync(CancellationToken cancellation) =>
        (await _http.GetFromJsonAsync<VpcState>(new Uri(Ec2, "/_emulator/state"), CallEntry.Json, cancellation))!;

    /// <summary>CPU seconds of silo and emulator so far.</summary>
    public (double Silo, double Ec2) Cpu()
    {
        _running.ForEach(process => process.Refresh());
        return (_running[SilosPlace].TotalProcessorTime.TotalSeconds, _running[0].TotalProcessorTime.TotalSeconds);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _running)
        {
            if (!process.HasExited)
            {
                process.Kill();
                await process.WaitForExitAsync(CancellationToken.None);
            }

            process.Dispose();
        }

        _key.Dispose();
        _http.Dispose();
        Nodes.Delete(recursive: true);
        if (Environment.GetEnvironmentVariable("AWS_VPC_CNI_FLEET_KEEP") is null)
        {
            Folder.Delete(recursive: true);
        }
        else
        {
            Console.WriteLine($"kept: {Folder.FullName}");
        }
    }

    private Task StartEc2Async(VpcDescription vpc, CancellationToken cancellation)
    {
        var file = Path.Combine(Folder.FullName, "vpc.json");
        File.WriteAllText(file, JsonSerializer.Serialize(vpc, JsonSerializerOptions.Web));
        return StartAsync("vpc-emulator", ["run", "--vpc", file, "--listen", Ec2.OriginalString], [], new Uri(Ec2, "/_emulator/ready"), cancellation);
    }

    private Task StartSiloAsync(IReadOnlyDictionary<string, string> settings, CancellationToken cancellation)
    {
        File.WriteAllText(KeyPath, _key.ExportSubjectPublicKeyInfoPem());
        Dictionary<string, string> all = new()
        {
            ["AWS_ACCESS_KEY_ID"] = FleetVpc.Cluster,
            ["AWS_SECRET_ACCESS_KEY"] = "none",
            ["Cluster__Name"] = FleetVpc.Cluster,
            ["Ec2__Region"] = FleetVpc.Region,
            ["Ec2__VpcId"] = FleetVpc.Id,
            ["Ec2__Endpoint"] = Ec2.OriginalString,
            ["Ec2__BudgetShare"] = BudgetShare,
            ["Storage__Path"] = Path.Combine(Folder.FullName, "silo.db"),
            ["NodeApi__Address"] = "127.0.0.1",
            ["NodeApi__Port"] = $"{_ports[1]}",
            ["NodeApi__ConnectionsPerAddress"] = "20000", // All nodes are this machine.
            ["NodeApi__TokenKeyPath"] = KeyPath,
            ["Http__Port"] = $"{_ports[2]}",
            ["Silo__Port"] = $"{_ports[3]}",
            ["Silo__GatewayPort"] = $"{_ports[4]}",
        };
        return StartAsync("silo", [], all.Concat(settings), new Uri($"http://127.0.0.1:{_ports[2]}/readyz"), cancellation);
    }

    private string KeyPath => Path.Combine(Folder.FullName, "key.pub");

    private (int Door, int Http) EdgePorts(int edge) => (_ports[5 + (2 * edge)], _ports[6 + (2 * edge)]);

    private async Task StartAsync(
        string name, string[] words, IEnumerable<KeyValuePair<string, string>> environment, Uri ready, CancellationToken cancellation, string? logName = null)
    {
        var program = Path.Combine(Root(), "artifacts", name, name);
        if (!File.Exists(program))
        {
            throw new FileNotFoundException($"{program} is not there. Run: make publish", program);
        }

        var log = Path.Combine(Folder.FullName, $"{logName ?? name}.log");
        var start = new ProcessStartInfo("/bin/sh", ["-c", "log=$1; shift; exec \"$@\" >\"$log\" 2>&1 </dev/null", "sh", log, program, .. words]);
        foreach (var (key, value) in environment)
        {
            start.Environment[key] = value;
        }

        var process = Process.Start(start)!;
        _running.Add(process);
        for (var began = TimeProvider.System.GetTimestamp(); !await AnswersAsync(ready, cancellation); await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, cancellation))
        {
            if (process.HasExited || TimeProvider.System.GetElapsedTime(began) > Patience)
            {
                throw new InvalidOperationException($"{name} does not come up. Its log ends: {string.Join('\n', File.ReadLines(log).TakeLast(10))}");
            }
        }
    }

    private async Task<bool> AnswersAsync(Uri ready, CancellationToken cancellation)
    {
        try
        {
            using var answer = await _http.GetAsync(ready, cancellation);
            return answer.StatusCode == HttpStatusCode.OK;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private static int[] FreePorts(int count)
    {
        var listeners = Enumerable.Range(0, count).Select(_ => new TcpListener(IPAddress.Loopback, 0)).ToList();
        listeners.ForEach(listener => listener.Start());
        int[] ports = [.. listeners.Select(listener => ((IPEndPoint)listener.LocalEndpoint).Port)];
        listeners.ForEach(listener => listener.Dispose());
        return ports;
    }

    private static string Root()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "AwsVpcCni.Distributed.sln")))
            {
                return folder.FullName;
            }
        }

        throw new DirectoryNotFoundException($"No AwsVpcCni.Distributed.sln above {AppContext.BaseDirectory}.");
    }
}
