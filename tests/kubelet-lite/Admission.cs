using k8s.Models;

namespace AwsVpcCni.KubeletLite;

/// <summary>What the API server puts into a pod before anybody sees it: its service account's token, and how the API server is known.</summary>
public static class Admission
{
    /// <summary>Where pods find it.</summary>
    public const string AccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

    /// <summary>The ConfigMap that each namespace has.</summary>
    public const string RootCa = "kube-root-ca.crt";

    private const string Volume = "kube-api-access";

    /// <summary>A pod of a template, as it is stored.</summary>
    public static V1Pod Pod(string name, string podNamespace, V1ObjectMeta? template, V1PodSpec spec)
    {
        var admitted = k8s.KubernetesJson.Deserialize<V1PodSpec>(k8s.KubernetesJson.Serialize(spec)); // The template stays as it is.
        admitted.ServiceAccountName ??= "default";
        admitted.TerminationGracePeriodSeconds ??= 30;
        if (admitted.AutomountServiceAccountToken != false)
        {
            admitted.Volumes = [.. admitted.Volumes ?? [], new V1Volume
            {
                Name = Volume,
                Projected = new V1ProjectedVolumeSource
                {
                    DefaultMode = 0b110_100_100,
                    Sources =
                    [
                        new V1VolumeProjection { ServiceAccountToken = new V1ServiceAccountTokenProjection { Path = "token", ExpirationSeconds = 3607 } },
                        new V1VolumeProjection { ConfigMap = new V1ConfigMapProjection { Name = RootCa, Items = [new V1KeyToPath { Key = "ca.crt", Path = "ca.crt" }] } },
                        new V1VolumeProjection { DownwardAPI = new V1DownwardAPIProjection { Items = [new V1DownwardAPIVolumeFile { Path = "namespace", FieldRef = new V1ObjectFieldSelector { FieldPath = "metadata.namespace" } }] } },
                    ],
                },
            }];
            foreach (var container in admitted.Containers.Concat(admitted.InitContainers ?? []).Where(container => container.VolumeMounts?.Any(mount => mount.MountPath == AccountFolder) != true))
            {
                container.VolumeMounts = [.. container.VolumeMounts ?? [], new V1VolumeMount { Name = Volume, MountPath = AccountFolder, ReadOnlyProperty = true }];
            }
        }

        return new V1Pod
        {
            ApiVersion = "v1",
            Kind = "Pod",
            Metadata = new V1ObjectMeta { Name = name, NamespaceProperty = podNamespace, Labels = template?.Labels, Annotations = template?.Annotations },
            Spec = admitted,
        };
    }
}
