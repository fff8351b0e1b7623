using System.Net.Sockets;
using AwsVpcCni.KubeletLite.Proto;
using Grpc.Core;
using Grpc.Net.Client;

namespace AwsVpcCni.Tests.EndToEnd.Containerd;

/// <summary>A container runtime as the kubelet sees it. Failures are <see cref="RpcException"/>s with the runtime's text, which holds the CNI plugin's.</summary>
internal sealed class Cri : IDisposable
{
    /// <summary>Kubelet's for RunPodSandbox and StopPodSandbox: twice its runtimeRequestTimeout of 2 min.</summary>
    public static readonly TimeSpan KubeletPatience = TimeSpan.FromMinutes(4);

    private readonly GrpcChannel channel;
    private readonly RuntimeService.RuntimeServiceClient runtime;
    private readonly ImageService.ImageServiceClient images;

    public Cri(string socketPath)
    {
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellation) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });
        runtime = new RuntimeService.RuntimeServiceClient(channel);
        images = new ImageService.ImageServiceClient(channel);
    }

    /// <summary>For whoever makes calls of its own: kubelet-lite.</summary>
    public RuntimeService.RuntimeServiceClient Runtime => runtime;

    /// <summary>Name and version, "containerd 1.6.20".</summary>
    public async Task<string> VersionAsync()
    {
        var version = await runtime.VersionAsync(new VersionRequest(), Within(TimeSpan.FromSeconds(10)));
        return $"{version.RuntimeName} {version.RuntimeVersion}";
    }

    /// <summary>Null when pods can be run; else the runtime's reasons. With <paramref name="network"/> false the network may be unready: no conflist is there yet.</summary>
    public async Task<string?> WhyNotReadyAsync(bool network, CancellationToken cancellation)
    {
        try
        {
            var status = await runtime.StatusAsync(new StatusRequest(), cancellationToken: cancellation);
            var unready = status.Status.Conditions.Where(c => !c.Status && (network || c.Type != "NetworkReady")).Select(c => $"{c.Type}: {c.Message}");
            return string.Join("; ", unready) is { Length: > 0 } reasons ? reasons : null;
        }
        catch (RpcException e) when (e.StatusCode is StatusCode.Unavailable or StatusCode.Unknown)
        {
            return e.Status.Detail; // It does not listen yet, or its CRI plugin has not started.
        }
    }

    /// <summary>The network configuration that it has loaded, as JSON of containerd's own.</summary>
    public async Task<string> NetworkConfigAsync() =>
        (await runtime.StatusAsync(new StatusRequest { Verbose = true }, Within(TimeSpan.FromSeconds(10)))).Info.GetValueOrDefault("cniconfig", "");

    public async Task<bool> HasImageAsync(string name) =>
        (await images.ImageStatusAsync(new ImageStatusRequest { Image = new ImageSpec { Image = name } }, Within(TimeSpan.FromSeconds(10)))).Image is not null;

    /// <summary>Runs a pod without a container: nothing works in it, but it has its address.</summary>
    public Task<Pod> RunSandboxAsync(string name) => RunSandboxAsync(ConfigOf(name, "default"), KubeletPatience);

    /// <summary>Runs a pod with one container, whose command can be chosen.</summary>
    /// <param name="command">Null: it sleeps, and <see cref="ExecAsync"/> works in it.</param>
    /// <param name="patience">After which the runtime kills the CNI plugin; null: the kubelet's.</param>
    /// <param name="with">What else is to be in the pod's config.</param>
    public async Task<Pod> RunPodAsync(
        string name, string podNamespace = "default", string[]? command = null, TimeSpan? patience = null, Action<PodSandboxConfig>? with = null)
    {
        var config = ConfigOf(name, podNamespace);
        with?.Invoke(config);
        var pod = await RunSandboxAsync(config, patience ?? KubeletPatience);
        var create = new CreateContainerRequest
        {
            PodSandboxId = pod.Sandbox,
            SandboxConfig = config,
            Config = new ContainerConfig { Metadata = new ContainerMetadata { Name = "main" }, Image = new ImageSpec { Image = PauseImage.Name } },
        };
        create.Config.Command.Add(command ?? []);
        var container = (await runtime.CreateContainerAsync(create, Within(KubeletPatience))).ContainerId;
        await runtime.StartContainerAsync(new ContainerIdMessage { ContainerId = container }, Within(KubeletPatience));
        return pod with { Container = container };
    }

    /// <summary>The pod's address as the runtime has it from the CNI result.</summary>
    public async Task<string> AddressAsync(string sandbox) =>
        (await runtime.PodSandboxStatusAsync(new PodSandboxIdRequest { PodSandboxId = sandbox }, Within(KubeletPatience))).Status.Network?.Ip ?? "";

    /// <summary>Ids of all sandboxes, stopped ones too.</summary>
    public async Task<string[]> ListAsync() => [.. (await runtime.ListPodSandboxAsync(new Empty(), Within(KubeletPatience))).Items.Select(i => i.Id)];

    /// <summary>StopPodSandbox: ends its containers and calls the CNI plugin's DEL.</summary>
    public async Task StopAsync(string sandbox) => await runtime.StopPodSandboxAsync(new PodSandboxIdRequest { PodSandboxId = sandbox }, Within(KubeletPatience));

    /// <summary>RemovePodSandbox, of a stopped one.</summary>
    public async Task RemoveAsync(string sandbox) => await runtime.RemovePodSandboxAsync(new PodSandboxIdRequest { PodSandboxId = sandbox }, Within(KubeletPatience));

    public async Task StopAndRemoveAsync(Pod pod)
    {
        await StopAsync(pod.Sandbox);
        await RemoveAsync(pod.Sandbox);
    }

    /// <summary>Runs a command in the pod's container.</summary>
    public async Task<(int ExitCode, string Output)> TryExecAsync(Pod pod, params string[] command)
    {
        var request = new ExecSyncRequest { ContainerId = pod.Container, Timeout = 30 };
        request.Cmd.Add(command);
        var reply = await runtime.ExecSyncAsync(request, Within(TimeSpan.FromSeconds(40)));
        return (reply.ExitCode, reply.Stdout.ToStringUtf8() + reply.Stderr.ToStringUtf8());
    }

    /// <inheritdoc cref="TryExecAsync"/>
    /// <exception cref="InvalidOperationException">Its exit code is not 0.</exception>
    public async Task<string> ExecAsync(Pod pod, params string[] command)
    {
        var (exitCode, output) = await TryExecAsync(pod, command);
        return exitCode == 0
            ? output
            : throw new InvalidOperationException($"{string.Join(' ', command)} in pod {pod.Name}: exit code {exitCode}: {output}");
    }

    public void Dispose() => channel.Dispose();

    private async Task<Pod> RunSandboxAsync(PodSandboxConfig config, TimeSpan patience)
    {
        var sandbox = (await runtime.RunPodSandboxAsync(new RunPodSandboxRequest { Config = config }, Within(patience))).PodSandboxId;
        return new Pod(config.Metadata.Name, config.Metadata.Namespace, sandbox, Container: "", await AddressAsync(sandbox));
    }

    private static PodSandboxConfig ConfigOf(string name, string podNamespace) => new()
    {
        Metadata = new PodSandboxMetadata { Name = name, Namespace = podNamespace, Uid = $"uid-{podNamespace}-{name}" },
        Hostname = name,
        LogDirectory = "/tmp",
    };

    private static CallOptions Within(TimeSpan patience) => new(deadline: TimeProvider.System.GetUtcNow().UtcDateTime + patience);
}

/// <param name="Sandbox">Its id, which is the CNI container id.</param>
/// <param name="Container">Id of its one container; empty: it has none.</param>
internal sealed record Pod(string Name, string Namespace, string Sandbox, string Container, string Address);
