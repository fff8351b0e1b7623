using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Options;

/// <summary>Whether and how the silo (or edge) talks to the cluster's API server; section <c>Kubernetes</c>. A silo runs without.</summary>
public sealed class KubernetesOptions : IValidatableObject
{
    private const string InCluster = "/var/run/secrets/kubernetes.io/serviceaccount";

    /// <summary>Nodes are watched, and executors are known by their service account's projected tokens. Default false.</summary>
    public bool Enabled { get; set; }

    /// <summary>Where the API server answers. Unset: as pods find it (<c>KUBERNETES_SERVICE_HOST</c>, <c>KUBERNETES_SERVICE_PORT</c>).</summary>
    public string? ApiServer { get; set; }

    /// <summary>File with the bearer token of the silo's own service account, read anew for each request.</summary>
    public string TokenPath { get; set; } = $"{InCluster}/token";

    /// <summary>PEM of the authority that signs the API server's certificate; used with an https address.</summary>
    public string CaPath { get; set; } = $"{InCluster}/ca.crt";

    /// <summary>The <c>aud</c> of executors' tokens, as the projected volume asks for it. Default <c>aws-vpc-cni</c>.</summary>
    [Required(ErrorMessage = "Kubernetes:Audience is empty; set Kubernetes__Audience to the audience of the executors' projected token.")]
    public string Audience { get; set; } = "aws-vpc-cni";

    /// <summary>The <c>iss</c> of the cluster's tokens. Unset: what the API server's discovery document says.</summary>
    public string? Issuer { get; set; }

    /// <summary>The executors' service account, <c>NAMESPACE/NAME</c>: no other one is a node. Default <c>kube-system/aws-vpc-cni-executor</c>.</summary>
    [RegularExpression("^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$",
        ErrorMessage = "Kubernetes:ExecutorServiceAccount must be NAMESPACE/NAME, such as Kubernetes__ExecutorServiceAccount=kube-system/aws-vpc-cni-executor.")]
    public string ExecutorServiceAccount { get; set; } = "kube-system/aws-vpc-cni-executor";

    /// <summary>Pods that are bound to a node count as its demand before the runtime asks for their addresses. Default true.</summary>
    public bool PodDemand { get; set; } = true;

    /// <summary>The node label that names a node's ENIConfig, with custom networking. Default <c>k8s.amazonaws.com/eniConfig</c>. amazon-vpc-cni-k8s: ENI_CONFIG_LABEL_DEF.</summary>
    [Required(ErrorMessage = "Kubernetes:EniConfigLabel is empty; set Kubernetes__EniConfigLabel to a label's key, such as topology.kubernetes.io/zone.")]
    public string EniConfigLabel { get; set; } = "k8s.amazonaws.com/eniConfig";

    /// <summary>The node annotation that does, before the label; empty: none does, since a node's kubelet can write its own Node's annotations. Default <c>k8s.amazonaws.com/eniConfig</c>. amazon-vpc-cni-k8s: ENI_CONFIG_ANNOTATION_DEF.</summary>
    public string EniConfigAnnotation { get; set; } = "k8s.amazonaws.com/eniConfig";

    /// <summary>What keeps pods from addresses becomes events of those pods and their nodes. Default true.</summary>
    public bool Events { get; set; } = true;

    /// <summary>A node on which no pod can get an address has a condition that says so, and each node an annotation with the pods that it can run. Default true.</summary>
    public bool MarkNodes { get; set; } = true;

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (!Enabled)
        {
            yield break;
        }

        if (!Uri.TryCreate(ApiServer, UriKind.Absolute, out var api) || api.Scheme is not ("http" or "https"))
        {
            yield return new(ApiServer is null
                ? "Kubernetes:ApiServer is not set, and there is no KUBERNETES_SERVICE_HOST: this is no pod; set Kubernetes__ApiServer to the API server's address, or Kubernetes__Enabled=false."
                : $"Kubernetes:ApiServer '{ApiServer}' is no http(s) URL; correct Kubernetes__ApiServer.");
            yield break;
        }

        if (!File.Exists(TokenPath))
        {
            yield return new($"Kubernetes:TokenPath '{TokenPath}' does not exist or cannot be read; correct Kubernetes__TokenPath, or let the pod mount its service account's token.");
        }

        if (api.Scheme == "https" && !File.Exists(CaPath))
        {
            yield return new($"Kubernetes:CaPath '{CaPath}' does not exist or cannot be read; correct Kubernetes__CaPath.");
        }
    }
}

/// <summary>Checks <see cref="KubernetesOptions"/>.</summary>
[OptionsValidator]
internal sealed partial class KubernetesOptionsValidator : IValidateOptions<KubernetesOptions>;
