using System.Text.Json.Serialization;
using k8s;
using k8s.Models;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>Custom networking's object: in which subnet, and with which security groups, the interfaces of some nodes are. Those of amazon-vpc-cni-k8s.</summary>
internal sealed class EniConfig : IKubernetesObject<V1ObjectMeta>
{
    public const string Group = "crd.k8s.amazonaws.com";
    public const string Version = "v1alpha1";
    public const string Plural = "eniconfigs";

    [JsonPropertyName("apiVersion")]
    public string ApiVersion { get; set; } = "";

    [JsonPropertyName("kind")]
    public string Kind { get; set; } = "";

    [JsonPropertyName("metadata")]
    public V1ObjectMeta Metadata { get; set; } = new();

    [JsonPropertyName("spec")]
    public EniConfigSpec? Spec { get; set; }
}

/// <summary>What it says.</summary>
internal sealed class EniConfigSpec
{
    /// <summary>A subnet's id.</summary>
    [JsonPropertyName("subnet")]
    public string? Subnet { get; set; }

    /// <summary>Ids; none: those of the node's primary interface.</summary>
    [JsonPropertyName("securityGroups")]
    public IList<string>? SecurityGroups { get; set; }
}

/// <summary>A list of them.</summary>
internal sealed class EniConfigList : IKubernetesObject<V1ListMeta>
{
    [JsonPropertyName("apiVersion")]
    public string ApiVersion { get; set; } = "";

    [JsonPropertyName("kind")]
    public string Kind { get; set; } = "";

    [JsonPropertyName("metadata")]
    public V1ListMeta Metadata { get; set; } = new();

    [JsonPropertyName("items")]
    public IList<EniConfig> Items { get; set; } = [];
}
