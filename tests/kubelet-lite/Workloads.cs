using System.Globalization;
using k8s.Models;

namespace AwsVpcCni.KubeletLite;

/// <summary>What the cluster's controllers make of the rendered objects: pods, and the endpoints of a service.</summary>
public static class Workloads
{
    /// <summary>A DaemonSet's pod for one node.</summary>
    public static V1Pod Of(V1DaemonSet set, string node, int number) => On(node, Admission.Pod(
        string.Create(CultureInfo.InvariantCulture, $"{set.Metadata.Name}-{node}-{number}"), set.Metadata.NamespaceProperty, set.Spec.Template.Metadata, set.Spec.Template.Spec));

    /// <summary>A StatefulSet's pod, with its claims.</summary>
    public static V1Pod Of(V1StatefulSet set, int ordinal, string node)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"{set.Metadata.Name}-{ordinal}");
        var pod = On(node, Admission.Pod(name, set.Metadata.NamespaceProperty, set.Spec.Template.Metadata, set.Spec.Template.Spec));
        pod.Spec.Volumes = [.. pod.Spec.Volumes ?? [], .. (set.Spec.VolumeClaimTemplates ?? []).Select(claim => new V1Volume
        {
            Name = claim.Metadata.Name, PersistentVolumeClaim = new V1PersistentVolumeClaimVolumeSource { ClaimName = $"{claim.Metadata.Name}-{name}" },
        })];
        return pod;
    }

    /// <summary>One of a Deployment's pods.</summary>
    public static V1Pod Of(V1Deployment deployment, string node, int number) => On(node, Admission.Pod(
        string.Create(CultureInfo.InvariantCulture, $"{deployment.Metadata.Name}-{number}"), deployment.Metadata.NamespaceProperty, deployment.Spec.Template.Metadata, deployment.Spec.Template.Spec));

    /// <summary>A pod by itself.</summary>
    public static V1Pod Of(V1Pod pod, string node) => On(node, Admission.Pod(pod.Metadata.Name, pod.Metadata.NamespaceProperty, pod.Metadata, pod.Spec));

    /// <summary>A service's endpoints: the pods of its selector, with the numbers of the ports that it names.</summary>
    public static V1EndpointSlice EndpointsOf(V1Service service, IEnumerable<(RunningPod Pod, bool IsReady)> pods)
    {
        var chosen = pods.Where(entry => service.Spec.Selector.All(label => entry.Pod.Pod.Metadata.Labels?.TryGetValue(label.Key, out var value) == true && value == label.Value)).ToList();
        return new V1EndpointSlice
        {
            ApiVersion = "discovery.k8s.io/v1",
            Kind = "EndpointSlice",
            Metadata = new V1ObjectMeta
            {
                Name = service.Metadata.Name + "-x7k2p", NamespaceProperty = service.Metadata.NamespaceProperty, Labels = new Dictionary<string, string> { ["kubernetes.io/service-name"] = service.Metadata.Name },
            },
            AddressType = "IPv4",
            Ports = [.. service.Spec.Ports.Select(port => new Discoveryv1EndpointPort { Name = port.Name, Protocol = port.Protocol ?? "TCP", Port = NumberOf(port, chosen) })],
            Endpoints = [.. chosen.Select(entry => new V1Endpoint { Addresses = [entry.Pod.Address], NodeName = entry.Pod.Pod.Spec.NodeName, Conditions = new V1EndpointConditions { Ready = entry.IsReady, Serving = entry.IsReady } })],
        };
    }

    // A target port is a number, or the name of a container's port.
    private static int NumberOf(V1ServicePort port, List<(RunningPod Pod, bool IsReady)> pods) => port.TargetPort?.Value is not { } target ? port.Port
        : int.TryParse(target, CultureInfo.InvariantCulture, out var number) ? number
        : pods.SelectMany(entry => entry.Pod.Pod.Spec.Containers).SelectMany(container => container.Ports ?? []).FirstOrDefault(named => named.Name == target)?.ContainerPort ?? port.Port;

    private static V1Pod On(string node, V1Pod pod)
    {
        pod.Spec.NodeName = node;
        return pod;
    }
}
