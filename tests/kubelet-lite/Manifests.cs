using k8s;
using k8s.Models;

namespace AwsVpcCni.KubeletLite;

/// <summary>What Helm has rendered, as Kubernetes' objects.</summary>
public sealed class Manifests
{
    private Manifests(IReadOnlyList<IKubernetesObject<V1ObjectMeta>> all) => All = all;

    /// <summary>All objects, in the order of the text.</summary>
    public IReadOnlyList<IKubernetesObject<V1ObjectMeta>> All { get; }

    /// <summary>Reads rendered YAML. A kind or a field that Kubernetes' client does not know is an exception; the Prometheus operator's kinds are passed over.</summary>
    public static Manifests Read(string yaml) => new([.. yaml.Split("\n---\n").Where(document => !document.Contains("\napiVersion: monitoring.coreos.com/", StringComparison.Ordinal))
        .SelectMany(document => KubernetesYaml.LoadAllFromString(document, strict: true)).Cast<IKubernetesObject<V1ObjectMeta>>()]);

    /// <summary>The objects of one kind.</summary>
    public IEnumerable<T> Of<T>() => All.OfType<T>();

    /// <summary>The only one of its kind.</summary>
    public T Single<T>() => All.OfType<T>().Single();
}
