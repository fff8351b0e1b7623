using System.Collections.Immutable;
using System.Text.Json;
using AwsVpcCni.Tests.EndToEnd.Containerd;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.Tests.EndToEnd.Images;
using AwsVpcCni.VpcEmulator.Fabric;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>One node: its namespace, its containerd with our plugin, its executor.</summary>
internal sealed class ClusterNode : IAsyncDisposable
{
    private readonly WorkFolder work;
    private readonly ImmutableDictionary<string, string> executorSettings;
    private ImmutableArray<string> command = [Repository.Artifact("node-executor", "node-executor")];
    private int servedBefore; // Runs of the executor that had come up before this one.

    private ClusterNode(WorkFolder work, string name, string instanceId, string netnsName, ContainerdNode containerd, ImmutableDictionary<string, string> executorSettings) =>
        (this.work, Name, InstanceId, NetnsName, Containerd, this.executorSettings) = (work, name, instanceId, netnsName, containerd, executorSettings);

    public string Name { get; }

    public string InstanceId { get; }

    /// <summary>As `ip netns` knows it.</summary>
    public string NetnsName { get; }

    public string Netns => "/run/netns/" + NetnsName;

    public ContainerdNode Containerd { get; }

    public Cri Cri => Containerd.Cri;

    /// <summary>Where the plugin finds the executor.</summary>
    public string Socket => executorSettings["AWS_VPC_CNI_SOCKET"];

    /// <summary>The running one; null: it is stopped.</summary>
    public Daemon? Executor { get; private set; }

    /// <summary>Where the lease file is.</summary>
    public string StateFolder => work.Path(Name + "-executor");

    /// <summary>A namespace of the machine's for a sandbox on this node; gone with the cluster at the latest.</summary>
    public async Task<string> AddSandboxNamespaceAsync(string sandbox)
    {
        var name = $"{NetnsName}-{sandbox}";
        work.NoteNamespace(name);
        await Shell.RunAsync("ip", "netns", "add", name);
        return name;
    }

    /// <summary>Starts containerd; the executor comes by <see cref="StartExecutor"/>.</summary>
    public static async Task<ClusterNode> StartAsync(WorkFolder work, ClusterSettings settings, int index, string tokenFile)
    {
        var name = settings.Nodes[index];
        var netnsName = $"{settings.Name}-{name}";
        var socket = work.Path(name + "-executor.sock");
        var containerd = await ContainerdNode.StartAsync(work, new ContainerdSettings(name, "/run/netns/" + netnsName, [Repository.Artifact("plugin", "aws-vpc-cni"), .. settings.Plugins.Select(plugin => Path.Combine(ContainerdNode.DebianPlugins, plugin))])
        {
            Environment = new Dictionary<string, string> { ["AWS_VPC_CNI_SOCKET"] = socket },
            Programs = settings.Containerd,
        });
        var executor = new Dictionary<string, string>
        {
            ["AWS_VPC_CNI_SILOS"] = SiloProcess.NodeApiOf(settings),
            ["AWS_VPC_CNI_TOKEN_FILE"] = tokenFile,
            ["AWS_VPC_CNI_SOCKET"] = socket,
            ["AWS_VPC_CNI_STATE_DIR"] = work.Path(name + "-executor"),
            ["AWS_VPC_CNI_CONFLIST"] = Path.Combine(containerd.ConfFolder, "10-aws.conflist"),
            ["AWS_VPC_CNI_PLUGIN_DIR"] = containerd.BinFolder,
        };
        var node = new ClusterNode(work, name, settings.InstanceIdOf(index), netnsName, containerd, executor.ToImmutableDictionary().SetItems(settings.Executor));
        if (settings.ExecutorsInContainers)
        {
            Directory.CreateDirectory(node.StateFolder);
            node.command = [.. await ShippedImage.ImportAsync(containerd, "node-executor"), .. ShippedImage.ExecutorOptions(work, node.executorSettings), ShippedImage.NameOf("node-executor"), $"{name}-executor-{Environment.ProcessId}", "/app/node-executor"];
        }

        return node;
    }

    /// <summary>Starts it (again) and does not wait; <see cref="ServableAsync"/> does.</summary>
    public void StartExecutor()
    {
        servedBefore = TimesServing();
        Executor = Daemon.Start(work, Name + "-node-executor", Netns, executorSettings, [.. command]);
    }

    /// <summary>A second run beside, or instead of, the one that serves; it is expected to end by itself.</summary>
    /// <param name="changed">Over its settings.</param>
    public Task<(int ExitCode, string Output)> RunExecutorOnceAsync(IReadOnlyDictionary<string, string> changed) =>
        Daemon.RunOnceAsync(work, Name + "-other-executor", Netns, executorSettings.SetItems(changed), Repository.Artifact("node-executor", "node-executor"));

    /// <summary>What `node-executor status --json` says.</summary>
    public async Task<JsonElement> StatusAsync()
    {
        var name = Name + "-status";
        var (exitCode, output) = await Daemon.RunOnceAsync(work, name, Netns, executorSettings, Repository.Artifact("node-executor", "node-executor"), "status", "--json");
        Assert.True(exitCode == 0, output);
        return JsonDocument.Parse(await File.ReadAllTextAsync(work.Path(name + ".log"))).RootElement;
    }

    /// <summary>Until this run of the executor serves, its conflist is there, and the runtime has read it.</summary>
    public async Task ServableAsync()
    {
        var conflist = executorSettings["AWS_VPC_CNI_CONFLIST"];
        await Executor!.ReadyAsync(TimeSpan.FromSeconds(60), _ => Task.FromResult(
            TimesServing() == servedBefore ? "it has not said that it serves" : File.Exists(conflist) ? null : conflist + " is not there"));
        await Containerd.NetworkReadyAsync();
    }

    public async Task StopExecutorAsync()
    {
        if (Executor is { } running)
        {
            Executor = null;
            await running.DisposeAsync();
        }
    }

    /// <summary>SIGKILL.</summary>
    public async Task KillExecutorAsync()
    {
        await Executor!.KillAsync();
        await StopExecutorAsync();
    }

    /// <summary>SIGKILL, if it has not ended by one, and the next run; ends when that can serve.</summary>
    public async Task RestartExecutorAsync()
    {
        await KillExecutorAsync(); // Collects it.
        StartExecutor();
        await ServableAsync();
    }

    private int TimesServing() => Serving().Count();

    private IEnumerable<string> Serving() => !File.Exists(work.Path(Name + "-node-executor.log")) ? [] : File.ReadLines(work.Path(Name + "-node-executor.log"))
        .Where(l => l.Contains($" 3001 Serving {InstanceId} ", StringComparison.Ordinal));

    /// <summary>What network configuration is there; take one before and one after, and ask for what is left over.</summary>
    public Task<NamespaceSnapshot> SnapshotAsync() => NamespaceSnapshot.TakeAsync(NetnsName);

    /// <summary>Stops pods and containerd while the executor can still serve their DELs, then the executor; one in a container, whose pods the test has stopped, before its containerd.</summary>
    public async ValueTask DisposeAsync()
    {
        if (command[0] == "ctr")
        {
            await StopExecutorAsync();
        }

        await Containerd.DisposeAsync();
        await StopExecutorAsync();
    }
}
