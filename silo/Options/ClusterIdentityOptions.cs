using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Options;

/// <summary>Which cluster this is; section <c>Cluster</c>.</summary>
public sealed class ClusterIdentityOptions
{
    /// <summary>The Kubernetes cluster's name; goes into tags, and keeps silos and <c>ipam</c> of another cluster out: interfaces are told
    /// apart by it, so it has no default. amazon-vpc-cni-k8s: CLUSTER_NAME.</summary>
    [RegularExpression("^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$",
        ErrorMessage = "Cluster:Name must be 1 to 100 letters, digits, - or _, and start with a letter or digit; set Cluster__Name to the Kubernetes cluster's name.")]
    [Required(ErrorMessage = "Cluster:Name is not set; set CLUSTER_NAME or Cluster__Name to the Kubernetes cluster's name.")]
    public string Name { get; set; } = "";
}

/// <summary>Checks <see cref="ClusterIdentityOptions"/>.</summary>
[OptionsValidator]
internal sealed partial class ClusterIdentityOptionsValidator : IValidateOptions<ClusterIdentityOptions>;
