using AwsVpcCni.KubeletLite.Proto;
using k8s.Models;

namespace AwsVpcCni.KubeletLite;

/// <summary>A pod as the runtime is told of it.</summary>
public static class CriConfigs
{
    /// <summary>The pod's sandbox.</summary>
    public static PodSandboxConfig OfSandbox(V1Pod pod, NodeHost node)
    {
        var isOnHost = pod.Spec.HostNetwork == true;
        var config = new PodSandboxConfig
        {
            Metadata = new PodSandboxMetadata { Name = pod.Metadata.Name, Namespace = pod.Metadata.NamespaceProperty, Uid = pod.Metadata.Uid },
            Hostname = isOnHost ? "" : pod.Metadata.Name, // The host's network namespace comes with the host's name.
            LogDirectory = node.LogFolder,
            DnsConfig = DnsOf(pod.Spec, node),
            Linux = new LinuxPodSandboxConfig { SecurityContext = Rights.OfSandbox(pod.Spec) },
        };
        config.Labels.Add(pod.Metadata.Labels ?? new Dictionary<string, string>());
        config.Annotations.Add(pod.Metadata.Annotations ?? new Dictionary<string, string>());
        foreach (var port in pod.Spec.Containers.SelectMany(container => container.Ports ?? []).Where(port => port.HostPort > 0 && !isOnHost))
        {
            config.PortMappings.Add(new PortMapping { Protocol = port.Protocol is "UDP" ? 1 : 0, ContainerPort = port.ContainerPort, HostPort = port.HostPort!.Value });
        }

        return config;
    }

    /// <summary>One of its containers.</summary>
    /// <param name="folders">Where the volumes are, by name.</param>
    /// <param name="podIp">Of a pod on the host network: its node's.</param>
    public static ContainerConfig OfContainer(V1Pod pod, V1Container container, NodeHost node, IReadOnlyDictionary<string, string> folders, string podIp)
    {
        var variables = PodFields.Variables(pod, container, node, podIp);
        var config = new ContainerConfig
        {
            Metadata = new ContainerMetadata { Name = container.Name },
            Image = new ImageSpec { Image = container.Image },
            WorkingDir = container.WorkingDir ?? "",
            LogPath = LogNameOf(pod, container.Name, node),
            Linux = new LinuxContainerConfig { Resources = Rights.ResourcesOf(container), SecurityContext = Rights.Of(pod.Spec, container) },
        };
        config.Command.AddRange((container.Command ?? []).Select(word => PodFields.Expand(word, variables)));
        config.Args.AddRange((container.Args ?? []).Select(word => PodFields.Expand(word, variables)));
        config.Envs.AddRange(variables.Select(variable => new KeyValue { Key = variable.Key, Value = variable.Value }));
        foreach (var mount in container.VolumeMounts ?? [])
        {
            config.Mounts.Add(new Mount
            {
                ContainerPath = mount.MountPath,
                HostPath = folders.TryGetValue(mount.Name, out var folder) ? folder : throw new KeyNotFoundException($"container {container.Name} mounts {mount.Name}, and the pod has no such volume."),
                Readonly = mount.ReadOnlyProperty == true,
            });
        }

        return config;
    }

    /// <summary>The name of a container's log.</summary>
    public static string LogNameOf(V1Pod pod, string container, NodeHost node) => $"{node.Name}_{pod.Metadata.Name}_{container}.log";

    private static DnsConfig DnsOf(V1PodSpec spec, NodeHost node) => (spec.DnsPolicy ?? "ClusterFirst") switch
    {
        // A pod on the host network asks whom its node asks, unless it is told to ask the cluster's.
        "Default" => new DnsConfig { Servers = { node.DnsServer } },
        "ClusterFirst" when spec.HostNetwork == true => new DnsConfig { Servers = { node.DnsServer } },
        "ClusterFirst" => new DnsConfig { Servers = { node.ClusterDnsServer }, Options = { "ndots:5" } },
        var other => throw new NotSupportedException($"dnsPolicy {other} is not known to kubelet-lite."),
    };
}
