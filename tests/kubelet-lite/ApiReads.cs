using k8s;
using k8s.Models;

namespace AwsVpcCni.KubeletLite;

/// <summary>What a kubelet asks the API server for a pod's volumes.</summary>
/// <param name="ConfigMap">By namespace and name.</param>
/// <param name="Secret">By namespace and name: its values.</param>
/// <param name="Token">Of a pod's service account, bound to the pod: for an audience (null: the API server itself), for some seconds.</param>
public sealed record ApiReads(
    Func<string, string, Task<IDictionary<string, string>>> ConfigMap, Func<string, string, Task<IDictionary<string, byte[]>>> Secret, Func<V1Pod, string?, long, Task<string>> Token)
{
    /// <summary>From an API server.</summary>
    public static ApiReads Of(IKubernetes api) => new(
        async (ns, name) => (await api.CoreV1.ReadNamespacedConfigMapAsync(name, ns)).Data,
        async (ns, name) => (await api.CoreV1.ReadNamespacedSecretAsync(name, ns)).Data,
        async (pod, audience, seconds) => (await api.CoreV1.CreateNamespacedServiceAccountTokenAsync(
            new Authenticationv1TokenRequest
            {
                Spec = new V1TokenRequestSpec
                {
                    Audiences = audience is null ? [] : [audience],
                    ExpirationSeconds = seconds,
                    BoundObjectRef = new V1BoundObjectReference { ApiVersion = "v1", Kind = "Pod", Name = pod.Metadata.Name, Uid = pod.Metadata.Uid },
                },
            },
            pod.Spec.ServiceAccountName, pod.Metadata.NamespaceProperty)).Status.Token);
}
