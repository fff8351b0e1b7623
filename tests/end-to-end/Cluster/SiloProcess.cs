using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using AwsVpcCni.Tests.EndToEnd.Harness;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>The silo in the silos' namespace, the only one from which EC2 is to be reached; and `ipam` beside it.</summary>
internal sealed partial class SiloProcess : IAsyncDisposable
{
    private const int NodeApiPort = 8440, HealthPort = 8441;

    private readonly WorkFolder work;
    private readonly ClusterSettings settings;
    private readonly string netns;

    private SiloProcess(WorkFolder work, ClusterSettings settings)
    {
        (this.work, this.settings, netns) = (work, settings, $"/run/netns/{settings.Name}-{settings.SiloName}s");
        Policy = new PolicyDoor(netns, HealthPort);
    }

    public static string Program { get; } = Repository.Artifact("silo", "silo");

    /// <summary>Where executors find it.</summary>
    public static string NodeApiOf(ClusterSettings settings) => $"http://{settings.SiloAddress}:{NodeApiPort}";

    /// <summary>The running one; null: it is stopped.</summary>
    public Daemon? Daemon { get; private set; }

    /// <summary>Where operators change the policy.</summary>
    public PolicyDoor Policy { get; }

    /// <summary>The SQLite file.</summary>
    public string Database => work.Path(settings.SiloName, "silo.db");

    /// <summary>Its appsettings.json, which it reads again when it changes; only with <see cref="ClusterSettings.SiloFile"/>.</summary>
    public string SettingsFile => work.Path(settings.SiloName, "program", "appsettings.json");

    public string LogFile => work.Path(settings.SiloName + ".log");

    /// <summary>The file is beside the program, so that one of its own takes a copy of the whole.</summary>
    private string Running => settings.SiloFile is null ? Program : work.Path(settings.SiloName, "program", Path.GetFileName(Program));

    private string Key => work.Path(settings.SiloName, "token-key.pem");

    private ImmutableDictionary<string, string> Environment => DotnetRoot.Environment.AddRange(new Dictionary<string, string>
    {
        // The SDK insists on credentials; the emulator takes any.
        ["AWS_ACCESS_KEY_ID"] = settings.ClusterName,
        ["AWS_SECRET_ACCESS_KEY"] = "test",
        ["Cluster__Name"] = settings.ClusterName,
        ["Ec2__Region"] = "eu-west-1",
        ["Ec2__VpcId"] = ClusterSettings.VpcId,
        ["Ec2__Endpoint"] = "http://127.0.0.1:4566",
        ["Storage__Path"] = Database,
        ["NodeApi__TokenKeyPath"] = Key + ".pub",
    }).SetItems(settings.Silo);

    /// <summary>Makes the key of the nodes' tokens and starts it.</summary>
    public static async Task<SiloProcess> StartAsync(WorkFolder work, ClusterSettings settings)
    {
        work.NewFolder(settings.SiloName);
        var silo = new SiloProcess(work, settings);
        if (settings.SiloFile is { } content)
        {
            await Shell.RunAsync("cp", "-r", Path.GetDirectoryName(Program)!, work.Path(settings.SiloName, "program"));
            await File.WriteAllTextAsync(silo.SettingsFile, content);
        }

        await Shell.RunAsync(Program, "ipam", "keygen", "--key", silo.Key);
        await silo.StartAsync();
        return silo;
    }

    /// <summary>Starts it (again) on the same database, and waits until it is ready.</summary>
    public async Task StartAsync()
    {
        Daemon = Daemon.Start(work, settings.SiloName, netns, Environment, Running);
        await Daemon.ReadyAsync(TimeSpan.FromSeconds(60), async _ =>
        {
            // By bash: its sockets are in the namespace, and every machine has it.
            var (_, stdout, stderr) = await Shell.TryAsync(
                "nsenter", "--net=" + netns, "bash", "-c", $"exec 3<>/dev/tcp/127.0.0.1/{HealthPort} && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3");
            return stdout.StartsWith("HTTP/1.1 200", StringComparison.Ordinal) ? null : (stdout + stderr).Trim();
        });
    }

    /// <summary>A run that is expected to end by itself.</summary>
    /// <param name="changed">Over its settings.</param>
    public Task<(int ExitCode, string Output)> RunOnceAsync(IReadOnlyDictionary<string, string> changed) =>
        Daemon.RunOnceAsync(work, "other-silo", netns, Environment.SetItems(changed), Program);

    public async Task StopAsync()
    {
        if (Daemon is { } running)
        {
            Daemon = null;
            await running.DisposeAsync();
        }
    }

    /// <summary>SIGKILL.</summary>
    public async Task KillAsync()
    {
        await Daemon!.KillAsync();
        await StopAsync();
    }

    /// <summary>When the VPC's grain first heard of each node, by the silo's log (event 2301).</summary>
    public IEnumerable<(DateTimeOffset At, string InstanceId)> Joins() => File.ReadLines(LogFile)
        .Select(line => Asking().Match(line)).Where(match => match.Success)
        .Select(match => (At: DateTimeOffset.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture), InstanceId: match.Groups[2].Value))
        .DistinctBy(join => join.InstanceId);

    [GeneratedRegex(@"^(\S+) .*VpcGrain\[2301\] Node (\S+) asks to be described")]
    private static partial Regex Asking();

    /// <summary>A node's token, in a file that only root may read.</summary>
    public async Task<string> IssueTokenAsync(string instanceId, string lifetime = "24h")
    {
        var path = work.Path($"token-{instanceId}-{lifetime}");
        await File.WriteAllTextAsync(path, await Shell.RunAsync(Program, "ipam", "token", "--key", Key, "--instance", instanceId, "--lifetime", lifetime));
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return path;
    }

    /// <summary>What `ipam` prints: a table, or JSON with <c>--json</c>.</summary>
    public Task<string> IpamAsync(string what, params string[] options) => Shell.RunAsync(
        "nsenter", ["--net=" + netns, Program, "ipam", what, .. options, "--cluster", settings.ClusterName, "--vpc", ClusterSettings.VpcId]); // Behind the words of a command that has several.

    public async ValueTask DisposeAsync()
    {
        Policy.Dispose();
        await StopAsync();
    }
}
