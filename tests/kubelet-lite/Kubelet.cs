using AwsVpcCni.KubeletLite.Proto;
using Grpc.Core;
using k8s.Models;

namespace AwsVpcCni.KubeletLite;

/// <summary>Runs pods on one node as their specs say, by calls of the container runtime's interface.</summary>
/// <remarks>Not a kubelet: a container that ends by itself is not started again, a liveness probe is not asked, tokens are not renewed, images are not pulled, nothing is evicted.</remarks>
/// <param name="probes">Its connections come from the node, as kubelet's probes do.</param>
public sealed class Kubelet(NodeHost node, RuntimeService.RuntimeServiceClient runtime, ApiReads api, HttpClient probes)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(4); // Kubelet's for the runtime: twice its runtimeRequestTimeout.
    private readonly VolumeFolders _volumes = new(node, api);

    /// <summary>The node that it runs pods on.</summary>
    public NodeHost Node => node;

    /// <summary>Runs a pod: its sandbox, its init containers one after the other to their good end, its containers.</summary>
    /// <param name="pod">With name, namespace and UID, as the API server has it.</param>
    public async Task<RunningPod> StartAsync(V1Pod pod)
    {
        KnownFields.Check(pod.Spec);
        var folders = await _volumes.MakeAsync(pod);
        var sandbox = CriConfigs.OfSandbox(pod, node);
        var id = (await runtime.RunPodSandboxAsync(new RunPodSandboxRequest { Config = sandbox }, Within(Patience))).PodSandboxId;
        var address = pod.Spec.HostNetwork == true ? node.Address : (await runtime.PodSandboxStatusAsync(new PodSandboxIdRequest { PodSandboxId = id }, Within(Patience))).Status.Network.Ip;
        var running = new RunningPod(pod, id, address) { Folders = folders };
        foreach (var container in pod.Spec.InitContainers ?? [])
        {
            var init = await StartAsync(running, container);
            if (await EndAsync(init) is not 0 and var code)
            {
                throw new InvalidOperationException($"init container {container.Name} of {pod.Metadata.Name} on {node.Name} ended with {code}: {LogOf(running, container.Name)}");
            }
        }

        foreach (var container in pod.Spec.Containers)
        {
            running.Containers.Add(container.Name, await StartAsync(running, container));
        }

        return running;
    }

    /// <summary>A container ends, without a grace period, and another one is started in its place: same sandbox, same volumes. The API server is not asked.</summary>
    public async Task RestartAsync(RunningPod pod, string container)
    {
        var old = new ContainerIdMessage { ContainerId = pod.Containers[container] };
        await runtime.StopContainerAsync(new StopContainerRequest { ContainerId = old.ContainerId, Timeout = 0 }, Within(Patience));
        await runtime.RemoveContainerAsync(old, Within(Patience));
        pod.Containers[container] = await StartAsync(pod, pod.Pod.Spec.Containers.Single(one => one.Name == container));
    }

    /// <summary>Until all containers are started and ready, by their probes; a startup probe that fails too often is an exception with the container's log.</summary>
    public async Task ReadyAsync(RunningPod pod)
    {
        foreach (var container in pod.Pod.Spec.Containers)
        {
            foreach (var probe in new[] { container.StartupProbe, container.ReadinessProbe }.OfType<V1Probe>())
            {
                var patience = probe == container.StartupProbe ? probe.FailureThreshold ?? 3 : 30;
                var failure = "";
                for (var asked = 0; (failure = await AskAsync(pod, container, probe)) is not null; asked++)
                {
                    if (asked == patience || (await StatusAsync(pod.Containers[container.Name])).State == ContainerState.Exited)
                    {
                        throw new TimeoutException($"{container.Name} of {pod.Pod.Metadata.Name} on {node.Name} is not ready after {asked + 1} probes: {failure}\n{LogOf(pod, container.Name)}");
                    }

                    await Task.Delay(TimeSpan.FromSeconds(probe.PeriodSeconds ?? 10), TimeProvider.System);
                }
            }
        }
    }

    /// <summary>Whether a container is ready or lives, by one probe of it now.</summary>
    /// <returns>Null: it is; else what the probe saw.</returns>
    public async Task<string?> AskAsync(RunningPod pod, V1Container container, V1Probe probe)
    {
        var patience = TimeSpan.FromSeconds(probe.TimeoutSeconds ?? 1);
        try
        {
            if (probe.HttpGet is not { } get)
            {
                var (code, output) = await ExecAsync(pod, container.Name, patience, [.. probe.Exec.Command]);
                return code == 0 ? null : $"exit code {code}: {output}";
            }

            var port = container.Ports?.FirstOrDefault(port => port.Name == get.Port.Value)?.ContainerPort.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? get.Port.Value;
            using var deadline = new CancellationTokenSource(patience);
            using var reply = await probes.GetAsync(new Uri($"http://{get.Host ?? pod.Address}:{port}{get.Path}"), deadline.Token);
            return (int)reply.StatusCode is >= 200 and < 400 ? null : $"{(int)reply.StatusCode} {await reply.Content.ReadAsStringAsync(deadline.Token)}";
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or RpcException)
        {
            return e.Message;
        }
    }

    /// <summary>`kubectl exec`: runs a command in a container.</summary>
    public async Task<(int ExitCode, string Output)> ExecAsync(RunningPod pod, string container, TimeSpan patience, params string[] command)
    {
        var request = new ExecSyncRequest { ContainerId = pod.Containers[container], Timeout = (long)patience.TotalSeconds };
        request.Cmd.AddRange(command);
        var reply = await runtime.ExecSyncAsync(request, Within(patience + TimeSpan.FromSeconds(5)));
        return (reply.ExitCode, reply.Stdout.ToStringUtf8() + reply.Stderr.ToStringUtf8());
    }

    /// <summary>Until the pod's one container ends.</summary>
    /// <returns>Its exit code, and all that it said.</returns>
    public async Task<(int ExitCode, string Log)> EndAsync(RunningPod pod)
    {
        var (name, id) = pod.Containers.Single();
        return (await EndAsync(id), LogOf(pod, name));
    }

    /// <summary>Ends a pod: SIGTERM and its grace period for the containers, then the sandbox; and its volumes go.</summary>
    public async Task StopAsync(RunningPod pod)
    {
        var grace = pod.Pod.Spec.TerminationGracePeriodSeconds ?? 30;
        foreach (var id in pod.Containers.Values)
        {
            await runtime.StopContainerAsync(new StopContainerRequest { ContainerId = id, Timeout = grace }, Within(Patience));
        }

        await runtime.StopPodSandboxAsync(new PodSandboxIdRequest { PodSandboxId = pod.Sandbox }, Within(Patience));
        await runtime.RemovePodSandboxAsync(new PodSandboxIdRequest { PodSandboxId = pod.Sandbox }, Within(Patience));
        _volumes.Remove(pod.Pod);
    }

    /// <summary>How a container stands.</summary>
    public async Task<ContainerStatus> StatusAsync(string container) => (await runtime.ContainerStatusAsync(new ContainerIdMessage { ContainerId = container }, Within(Patience))).Status;

    /// <summary>What a container has said, in the runtime's form: time, stream, F, text.</summary>
    public string LogOf(RunningPod pod, string container) => Path.Combine(node.LogFolder, CriConfigs.LogNameOf(pod.Pod, container, node)) is var path && File.Exists(path) ? File.ReadAllText(path) : "";

    private async Task<string> StartAsync(RunningPod pod, V1Container container)
    {
        var request = new CreateContainerRequest
        {
            PodSandboxId = pod.Sandbox, Config = CriConfigs.OfContainer(pod.Pod, container, node, pod.Folders, pod.Address), SandboxConfig = CriConfigs.OfSandbox(pod.Pod, node),
        };
        var made = (await runtime.CreateContainerAsync(request, Within(Patience))).ContainerId;
        await runtime.StartContainerAsync(new ContainerIdMessage { ContainerId = made }, Within(Patience));
        return made;
    }

    private async Task<int> EndAsync(string container)
    {
        using var deadline = new CancellationTokenSource(Patience);
        ContainerStatus status;
        while ((status = await StatusAsync(container)).State != ContainerState.Exited)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, deadline.Token);
        }

        return status.ExitCode;
    }

    private static CallOptions Within(TimeSpan patience) => new(deadline: TimeProvider.System.GetUtcNow().UtcDateTime + patience);
}

/// <summary>A pod that has been started.</summary>
/// <param name="Address">Its own; of one on the host network: its node's.</param>
public sealed record RunningPod(V1Pod Pod, string Sandbox, string Address)
{
    /// <summary>Ids of its containers, without the init containers, by name.</summary>
    public IDictionary<string, string> Containers { get; } = new Dictionary<string, string>();

    /// <summary>Where its volumes are, by name.</summary>
    public IReadOnlyDictionary<string, string> Folders { get; init; } = new Dictionary<string, string>();
}
