using System.Text.Json;
using AwsVpcCni.Tests.Wiring.Executor;

namespace AwsVpcCni.Tests.Wiring.Fuzz;

/// <summary>The shipped plugin, executed as a runtime does, before a real executor in a namespace; some before one whose replies are broken.</summary>
/// <remarks>Checked: each run ends by itself with a defined answer; the executor lives and serves to the end; then no link, route, rule, address of the
/// lease or connection is left.</remarks>
internal sealed class ExecFuzzer : Fuzzer
{
    private const int Pods = 6;
    private const int MaxVariable = 131_000; // MAX_ARG_STRLEN, linux/binfmts.h: the kernel executes nothing with a longer one.
    private static readonly string[] BadNetns = ["", "/run/netns/", "/dev/null", "/etc/passwd", "relative", "/nowhere/\"\\\x7f", "/nowhere/\xff", "/run/netns/" + new string('"', 130_000)];

    private readonly PluginExec plugin = new();
    private readonly BrokenExecutor broken = new();
    private readonly List<(int Pod, string Container, string IfName)> added = [];
    private readonly ExecutorNode node;
    private ExecutorNode.Running executor = null!;
    private string[] pods = [];
    private string before = "";
    private int calls, descriptors;

    private ExecFuzzer(ExecutorNode node) => this.node = node;

    public static async Task<Fuzzer> StartAsync()
    {
        var fuzzer = new ExecFuzzer(await ExecutorNode.StartAsync());
        try
        {
            await fuzzer.BeginAsync();
            return fuzzer;
        }
        catch
        {
            await fuzzer.EndAsync();
            throw;
        }
    }

    public override async Task TryAsync(Random random)
    {
        var pod = random.Next(Pods);
        var held = added.FindLast(one => one.Pod == pod);
        var command = held.Container is not null && random.Chance(0.6) ? "DEL" : null;
        var container = held.Container is not null && (command is not null || random.Chance(0.3)) ? held.Container : $"c-{pod}-{random.Next()}"; // No sandbox comes back: its address would rest.
        var input = CniInput.Of(random, container, [pods[pod]], BadNetns, command);
        Input = input.ToString();
        if (random.Chance(0.15))
        {
            Input = await broken.TryAsync(random, plugin, input.Command);
            return;
        }

        var answer = Run(input.Variables, input.Stdin);
        if (answer.ExitCode == 0 && answer.Output.Contains("\"ips\"", StringComparison.Ordinal))
        {
            added.Add((pod, First(input, "CNI_CONTAINERID="), First(input, "CNI_IFNAME=")));
        }

        if (input is { Command: "DEL", IsEnvironmentValid: true } && container == held.Container)
        {
            added.Remove(held);
        }

        var isEmpty = answer is { ExitCode: 0, Output.Length: 0 };
        var kind = isEmpty ? (input.IsEnvironmentValid ? input.Command : "DEL") : answer.Output.Contains("supportedVersions", StringComparison.Ordinal) ? "VERSION" : "ADD";
        var code = CniAnswer.CodeOf(kind, answer.ExitCode, Oddities.Bytes(answer.Output));
        Check(code == 0 || input.Command is not ("DEL" or "GC" or "STATUS") || !input.IsEnvironmentValid || (input.Distance is Distance.Broken && input.Command != "DEL"), $"a {input.Command} got code {code}");
    }

    public override async ValueTask DisposeAsync()
    {
        try
        {
            await CheckAsync();
        }
        finally
        {
            await EndAsync();
            await base.DisposeAsync();
        }
    }

    private async Task BeginAsync()
    {
        node.Silo.Lease = [.. Enumerable.Range(0, 4_000).Select(n => Core.Addressing.Ip.Parse("10.0.16.0") + n)];
        node.Silo.Policy = new(CooldownSeconds: 0.1, PreferredRestSeconds: 0.1); // The silo gives what the executor may have taken by itself.
        executor = await node.RunAsync();
        _ = executor.EndAsync(); // Reads its log: a full pipe would stop it.
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        pods = [.. Enumerable.Range(0, Pods).Select(n => node.AddPod($"p{n}"))];
        (before, descriptors) = (node.Snapshot(), Descriptors(executor));
        Serves();
        await node.SettleAsync(before);
    }

    /// <summary>It still serves, and then nothing is left.</summary>
    private async Task CheckAsync()
    {
        foreach (var (_, container, ifName) in added)
        {
            Check(Run([$"CNI_COMMAND=DEL", "CNI_CONTAINERID=" + container, "CNI_IFNAME=" + ifName], []).ExitCode == 0, "a DEL has failed");
        }

        await node.SettleAsync(before); // A DEL's link goes a moment after its answer.
        Serves();
        await node.SettleAsync(before);
        foreach (var pod in pods)
        {
            var links = TestNode.Run("ip", "-n", Path.GetFileName(pod), "-o", "link");
            Check(!links.Contains("eth0", StringComparison.Ordinal) && links.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length == 1, $"a pod still has {links}");
        }

        var (_, status, _) = await node.RunToEndAsync("status", "--json");
        var lease = JsonDocument.Parse(status).RootElement.GetProperty("lease");
        Check(lease.GetProperty("inUse").GetInt32() == 0, $"the lease still has {lease}");
        Check(Descriptors(executor) <= descriptors + 8, $"the executor has {Descriptors(executor)} descriptors, and had {descriptors}");
    }

    private async Task EndAsync()
    {
        broken.Dispose();
        plugin.Dispose();
        await node.DisposeAsync();
    }

    /// <summary>A valid ADD and its DEL.</summary>
    private void Serves()
    {
        string[] variables = [$"CNI_CONTAINERID=c-valid-{++calls}", "CNI_NETNS=" + pods[0], "CNI_IFNAME=eth0", "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=last"];
        var config = Oddities.Bytes(PluginClient.Config);
        CniAnswer.CodeOf("ADD", 0, Oddities.Bytes(Run(["CNI_COMMAND=ADD", .. variables], config).Output));
        Check(Run(["CNI_COMMAND=DEL", .. variables], config).ExitCode == 0, "a valid DEL has failed");
    }

    private PluginAnswer Run(IEnumerable<string> variables, byte[] stdin) =>
        plugin.Run(variables.Select(variable => variable.Length < MaxVariable ? variable : variable[..MaxVariable]).Append("AWS_VPC_CNI_SOCKET=" + node.Socket), stdin);

    private static string First(CniInput input, string name) => input.Variables.First(variable => variable.StartsWith(name, StringComparison.Ordinal))[name.Length..];

    private static int Descriptors(ExecutorNode.Running executor) => Opened($"{executor.Id}").Count();
}
