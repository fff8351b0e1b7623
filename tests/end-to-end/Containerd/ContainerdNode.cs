using AwsVpcCni.Tests.EndToEnd.Harness;
using Grpc.Core;

namespace AwsVpcCni.Tests.EndToEnd.Containerd;

/// <summary>What is special about one node's containerd.</summary>
/// <param name="Name">Of its files in the work folder.</param>
/// <param name="Netns">Path of the network namespace that it, and so its CNI plugins, run in.</param>
/// <param name="Plugins">CNI plugins to copy into its bin_dir; loopback, which containerd wants always, is there.</param>
internal sealed record ContainerdSettings(string Name, string Netns, IReadOnlyList<string> Plugins)
{
    /// <summary>Where it looks for conflists; null: an empty folder of its own, <see cref="ContainerdNode.ConfFolder"/>.</summary>
    public string? ConfFolder { get; init; }

    /// <summary>Its bin_dir; null: a folder of its own.</summary>
    public string? BinFolder { get; init; }

    /// <summary>The folder of its programs, as <see cref="Containerd2"/> has them; null: Debian's, along PATH.</summary>
    public string? Programs { get; init; }

    /// <summary>Of containerd, and so of the CNI plugins.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();
}

/// <summary>containerd as a node's runtime, apart from any other on the machine.</summary>
internal sealed class ContainerdNode : IAsyncDisposable
{
    /// <summary>Where Debian's containernetworking-plugins are.</summary>
    public const string DebianPlugins = "/usr/lib/cni";

    private static readonly TimeSpan StartTakes = TimeSpan.FromSeconds(30);

    private readonly WorkFolder work;
    private readonly ContainerdSettings settings;
    private Daemon daemon;

    private ContainerdNode(WorkFolder work, ContainerdSettings settings, Daemon daemon)
    {
        (this.work, this.settings, this.daemon) = (work, settings, daemon);
        ConfFolder = settings.ConfFolder ?? work.Path(settings.Name, "net.d");
        BinFolder = settings.BinFolder ?? work.Path(settings.Name, "bin");
        Cri = new Cri(SocketOf(work, settings));
    }

    public Cri Cri { get; }

    public string Netns => settings.Netns;

    /// <summary>Where `ctr` finds it.</summary>
    public string Socket => SocketOf(work, settings);

    /// <summary>A conflist put here is live in less than a second.</summary>
    public string ConfFolder { get; }

    /// <summary>Its bin_dir.</summary>
    public string BinFolder { get; }

    public string LogFile => daemon.LogFile;

    /// <summary>Ready but for the network, which <see cref="NetworkReadyAsync"/> awaits.</summary>
    public static async Task<ContainerdNode> StartAsync(WorkFolder work, ContainerdSettings settings)
    {
        var bin = Directory.CreateDirectory(settings.BinFolder ?? work.Path(settings.Name, "bin")).FullName;
        foreach (var plugin in settings.BinFolder is null ? settings.Plugins.Append(Path.Combine(DebianPlugins, "loopback")) : settings.Plugins)
        {
            File.Copy(plugin, Path.Combine(bin, Path.GetFileName(plugin)), overwrite: true);
        }

        var conf = settings.ConfFolder ?? work.NewFolder(settings.Name, "net.d");
        await File.WriteAllTextAsync(work.Path(settings.Name, "config.toml"), Config(work, settings, bin, conf));
        var node = new ContainerdNode(work, settings, StartDaemon(work, settings));
        await node.ReadyAsync();
        await node.ImportImageAsync();
        return node;
    }

    /// <summary>Until a conflist is there (and, from containerd 2.1 on, the plugin's STATUS is good).</summary>
    public Task NetworkReadyAsync(TimeSpan? patience = null) => daemon.ReadyAsync(patience ?? StartTakes, c => Cri.WhyNotReadyAsync(network: true, c));

    /// <summary>Its processes alone: pods go on, as when the service is restarted.</summary>
    public async Task RestartAsync()
    {
        await daemon.StopAsync();
        daemon = StartDaemon(work, settings);
        await ReadyAsync();
    }

    /// <summary>SIGKILL for containerd itself; pods go on.</summary>
    public Task KillAsync() => daemon.KillAsync();

    /// <summary>Stops and removes all pods, then itself.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            if (!daemon.HasExited)
            {
                foreach (var sandbox in await Cri.ListAsync())
                {
                    await Cri.StopAsync(sandbox);
                    await Cri.RemoveAsync(sandbox);
                }
            }
        }
        catch (RpcException)
        {
            // A pod whose DEL fails cannot be stopped this way. A test that minds stops its pods itself; the end must come here too.
        }
        finally
        {
            Cri.Dispose();
            await daemon.DisposeAsync();
            await ContainerdLeftovers.RemoveAsync(work.Path(settings.Name));
        }
    }

    private static string SocketOf(WorkFolder work, ContainerdSettings settings) => work.Path(settings.Name, "c.sock");

    private static Daemon StartDaemon(WorkFolder work, ContainerdSettings settings) =>
        Daemon.Start(work, settings.Name + "-containerd", settings.Netns, EnvironmentOf(settings), settings.Programs is { } folder ? Path.Combine(folder, "containerd") : "containerd", "--config", work.Path(settings.Name, "config.toml"));

    /// <summary>It finds its shim along PATH.</summary>
    private static Dictionary<string, string> EnvironmentOf(ContainerdSettings settings) => settings.Programs is { } folder
        ? new(settings.Environment) { ["PATH"] = folder + ":" + Daemon.Path } : new(settings.Environment);

    private static string Config(WorkFolder work, ContainerdSettings settings, string bin, string conf) => settings.Programs is null ? $"""
        version = 2
        root = "{work.Path(settings.Name, "root")}"
        state = "{work.Path(settings.Name, ContainerdLeftovers.State)}"
        [grpc]
          address = "{SocketOf(work, settings)}"
        [plugins."io.containerd.internal.v1.opt"]
          path = "{work.Path(settings.Name, "opt")}"
        [plugins."io.containerd.grpc.v1.cri"]
          sandbox_image = "{PauseImage.Name}"
          disable_tcp_service = true
          # Root has no CAP_SYS_RESOURCE in many containers: the pause process could not get its oom_score_adj of -998.
          restrict_oom_score_adj = true
          [plugins."io.containerd.grpc.v1.cri".cni]
            bin_dir = "{bin}"
            conf_dir = "{conf}"
          [plugins."io.containerd.grpc.v1.cri".containerd]
            # A copy of 2 MB a container, on any file system; overlayfs cannot lie upon itself.
            snapshotter = "native"

        """ : $"""
        version = 3
        root = "{work.Path(settings.Name, "root")}"
        state = "{work.Path(settings.Name, ContainerdLeftovers.State)}"
        [grpc]
          address = "{SocketOf(work, settings)}"
        [plugins."io.containerd.internal.v1.opt"]
          path = "{work.Path(settings.Name, "opt")}"
        [plugins."io.containerd.cri.v1.images"]
          snapshotter = "native"
          [plugins."io.containerd.cri.v1.images".pinned_images]
            sandbox = "{PauseImage.Name}"
        [plugins."io.containerd.cri.v1.runtime"]
          restrict_oom_score_adj = true
          [plugins."io.containerd.cri.v1.runtime".cni]
            bin_dirs = ["{bin}"]
            conf_dir = "{conf}"

        """;

    private Task ReadyAsync() => daemon.ReadyAsync(StartTakes, c => Cri.WhyNotReadyAsync(network: false, c));

    private async Task ImportImageAsync()
    {
        var image = work.Path("pause.tar");
        if (!File.Exists(image))
        {
            PauseImage.Write(image);
        }

        // Debian's, for containerd 2 too, whose own asks for platforms of a config that has none.
        await Shell.RunAsync("ctr", "-a", SocketOf(work, settings), "-n", "k8s.io", "images", "import", "--snapshotter", "native", image);

        // CRI learns of it by an event; a pod before that would look for a registry.
        await Eventually.HoldsAsync("CRI to know the imported image", StartTakes, async _ => await Cri.HasImageAsync(PauseImage.Name) ? null : "no image");
    }
}
