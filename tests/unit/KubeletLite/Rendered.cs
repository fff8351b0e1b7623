using System.Runtime.CompilerServices;
using AwsVpcCni.KubeletLite;
using k8s.Models;

namespace AwsVpcCni.Tests.Unit.KubeletLite;

/// <summary>The chart's stored renderings (tests/chart/renderings), on a node.</summary>
internal static class Rendered
{
    public static readonly NodeHost Node = new("nodea", "10.20.1.20", "/nodes/a")
    {
        LogFolder = "/logs", ApiAddress = "10.100.0.1", DnsServer = "10.20.0.2", ClusterDnsServer = "10.100.0.10",
    };

    public static Manifests Set(string name) => Manifests.Read(File.ReadAllText(Path.Combine(Here(), "..", "..", "chart", "renderings", name + ".yaml")));

    public static V1Pod Executor(string set = "sqlite") => Stored(Workloads.Of(Set(set).Single<V1DaemonSet>(), Node.Name, 0));

    public static V1Pod Silo() => Stored(Workloads.Of(Set("sqlite").Single<V1StatefulSet>(), 0, Node.Name));

    /// <summary>A pod of one container, given as YAML of its spec.</summary>
    public static V1Pod Pod(string spec) => Stored(Admission.Pod("pod", "default", null, k8s.KubernetesYaml.Deserialize<V1PodSpec>(spec, strict: true)));

    private static V1Pod Stored(V1Pod pod)
    {
        pod.Metadata.Uid = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"; // As the API server gives each one.
        return pod;
    }

    private static string Here([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
