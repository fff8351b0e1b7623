using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.RegularExpressions;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.VpcEmulator.Control;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>The running VPC emulator with its fabric, and its control API.</summary>
internal sealed partial class EmulatorProcess : IAsyncDisposable
{
    private const string Ready = "vpc-emulator: ready at ";

    private readonly Daemon daemon;
    private readonly HttpClient control;
    private readonly WorkFolder work;

    private EmulatorProcess(WorkFolder work, Daemon daemon, HttpClient control) => (this.work, this.daemon, this.control) = (work, daemon, control);

    public string CallLog => CallLogIn(work);

    /// <summary>Answers when every instance of the description has its namespace.</summary>
    public static async Task<EmulatorProcess> StartAsync(WorkFolder work, ClusterSettings settings)
    {
        await File.WriteAllTextAsync(work.Path("vpc.json"), JsonSerializer.Serialize(settings.Vpc(), JsonSerializerOptions.Web));
        ClusterSettings[] clusters = settings.Neighbour is { } neighbour ? [settings, neighbour] : [settings];
        var daemon = Daemon.Start(
            work, "vpc-emulator", netns: null, DotnetRoot.Environment,
            [
                Repository.Artifact("vpc-emulator", "vpc-emulator"), "run", "--vpc", work.Path("vpc.json"), "--listen", "http://127.0.0.1:0", "--fabric", settings.Name, "--call-log", CallLogIn(work),
                .. clusters.SelectMany(cluster => new[] { "--policy", $"{cluster.ClusterName}={Path.Combine(Repository.Root, "docs", "iam", "ec2.json")}" }),
            ]);
        Uri? address = null;
        await daemon.ReadyAsync(TimeSpan.FromSeconds(60), async cancellation =>
        {
            var lines = await File.ReadAllLinesAsync(daemon.LogFile, cancellation);
            address = lines.FirstOrDefault(l => l.StartsWith(Ready, StringComparison.Ordinal)) is { } line ? new Uri(line[Ready.Length..]) : null;
            return address is null ? "it has not said so" : null;
        });
        return new EmulatorProcess(work, daemon, new HttpClient { BaseAddress = new Uri(address!, "/_emulator/"), Timeout = TimeSpan.FromSeconds(30) });
    }

    /// <summary>All of the VPC now: who holds which address.</summary>
    public async Task<VpcState> StateAsync() => (await control.GetFromJsonAsync<VpcState>("state", CallEntry.Json))!;

    /// <summary>What a node holds: interfaces + secondary addresses + prefixes, as in <c>1+4+0</c>.</summary>
    public async Task<string> HeldAsync(ClusterNode node)
    {
        var interfaces = (await StateAsync()).Interfaces.Where(eni => eni.Instance == node.InstanceId).ToList();
        return string.Create(CultureInfo.InvariantCulture, $"{interfaces.Count}+{interfaces.Sum(eni => eni.Addresses.Count - 1)}+{interfaces.Sum(eni => eni.Prefixes.Count)}");
    }

    /// <summary>EC2 calls with a sequence number above <paramref name="after"/>.</summary>
    public async Task<CallEntry[]> CallsAsync(long after = 0) =>
        (await control.GetFromJsonAsync<CallEntry[]>(string.Create(CultureInfo.InvariantCulture, $"calls?after={after}"), CallEntry.Json))!;

    public async Task AddFaultAsync(Fault fault) => (await control.PostAsJsonAsync("faults", fault, CallEntry.Json)).EnsureSuccessStatusCode();

    public async Task ClearFaultsAsync() => (await control.DeleteAsync("faults")).EnsureSuccessStatusCode();

    /// <summary>Someone in a console makes an interface with two secondary addresses and attaches it to an instance.</summary>
    /// <param name="tag">Its one tag, with the value true; null: none.</param>
    /// <returns>Its id.</returns>
    public async Task<string> AttachByHandAsync(string instanceId, int deviceIndex, string? tag)
    {
        string[] tags = tag is null ? [] : ["TagSpecification.1.ResourceType=network-interface", $"TagSpecification.1.Tag.1.Key={tag}", "TagSpecification.1.Tag.1.Value=true"];
        var made = await ByHandAsync(["Action=CreateNetworkInterface", $"SubnetId={ClusterSettings.SubnetId}", "SecondaryPrivateIpAddressCount=2", .. tags]);
        var id = InterfaceId().Match(made).Value;
        await ByHandAsync(["Action=AttachNetworkInterface", $"NetworkInterfaceId={id}", $"InstanceId={instanceId}", string.Create(CultureInfo.InvariantCulture, $"DeviceIndex={deviceIndex}")]);
        await Eventually.HoldsAsync($"{id} to be attached", TimeSpan.FromSeconds(10), async _ =>
            (await StateAsync()).Interfaces.Single(eni => eni.Id == id).Attachment is var attachment && attachment == "attached" ? null : attachment ?? "detached");
        return id;
    }

    /// <summary>Ends an instance, with everything that runs on it.</summary>
    public async Task TerminateAsync(string instanceId) => (await control.DeleteAsync("instances/" + instanceId)).EnsureSuccessStatusCode();

    /// <summary>Whether the calls so far keep the budget, name what they draw, and share the describes of joins in one window.</summary>
    /// <param name="joins">When which instance joined.</param>
    /// <returns>The program's exit code and all that it says.</returns>
    public async Task<(int ExitCode, string Output)> CheckCallsAsync(IEnumerable<(DateTimeOffset At, string InstanceId)> joins)
    {
        var file = work.Path("joins");
        await File.WriteAllLinesAsync(file, joins.Select(j => string.Create(CultureInfo.InvariantCulture, $"{j.At.UtcDateTime:O} {j.InstanceId}")));
        var (exitCode, stdout, stderr) = await Shell.TryAsync(Repository.Artifact("vpc-emulator", "vpc-emulator"), "check-calls", "--log", CallLog, "--joins", file);
        return (exitCode, stdout + stderr);
    }

    public async ValueTask DisposeAsync()
    {
        control.Dispose();
        await daemon.DisposeAsync();
    }

    /// <summary>An action of EC2's by its wire parameters, past budget and call log.</summary>
    private async Task<string> ByHandAsync(string[] parameters)
    {
        using var answer = await control.PostAsJsonAsync("hand", parameters.Select(parameter => parameter.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair[1]), CallEntry.Json);
        var said = await answer.Content.ReadAsStringAsync();
        return answer.IsSuccessStatusCode ? said : throw new InvalidOperationException($"{string.Join('&', parameters)}: {said}");
    }

    [GeneratedRegex("eni-[0-9a-f]+")]
    private static partial Regex InterfaceId();

    private static string CallLogIn(WorkFolder work) => work.Path("calls.jsonl");
}
