using System.ComponentModel.DataAnnotations;
using System.Net;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Options;

/// <summary>Orleans' own names and ports; section <c>Silo</c>. Nobody but silos, edges and <c>ipam</c> may reach them; edges and <c>ipam</c> show the same certificates.</summary>
public sealed class SiloNetworkOptions : IValidatableObject
{
    /// <summary>A value of <see cref="Clustering"/>.</summary>
    public const string DynamoDb = "dynamodb";

    /// <summary><c>single</c>, one silo, or <c>dynamodb</c>, those of the membership table. Default <c>single</c>.</summary>
    [RegularExpression("^(single|dynamodb)$", ErrorMessage = "Silo:Clustering must be single or dynamodb; correct Silo__Clustering.")]
    public string Clustering { get; set; } = "single";

    /// <summary>Orleans' service id, by which documents are kept: the same for all silos, edges and <c>ipam</c> of a cluster, and for ever. Clusters that share a table
    /// of documents need different ones. Default <c>aws-vpc-cni</c>.</summary>
    [RegularExpression("^[A-Za-z0-9][A-Za-z0-9-]{0,99}$",
        ErrorMessage = "Silo:ServiceId must be 1 to 100 letters, digits or -, and start with a letter or digit; correct Silo__ServiceId.")]
    [Required(ErrorMessage = "Silo:ServiceId is empty; leave Silo__ServiceId out for aws-vpc-cni.")]
    public string ServiceId { get; set; } = "aws-vpc-cni";

    /// <summary>The address that other silos reach this one at. Default <c>127.0.0.1</c>.</summary>
    public string Address { get; set; } = "127.0.0.1";

    /// <summary>Silo to silo, on <see cref="Address"/>. Default 11111.</summary>
    [Range(1, 65535)]
    public int Port { get; set; } = 11111;

    /// <summary>For <c>ipam</c> and edges, at <see cref="GatewayAddress"/>. Default 30000.</summary>
    [Range(1, 65535)]
    public int GatewayPort { get; set; } = 30000;

    /// <summary>The gateway is on <see cref="Address"/>, for edges of other machines: whoever reaches it can call any grain. Default false, on loopback.</summary>
    public bool GatewayForEdges { get; set; }

    /// <summary>This process's certificate and its chain, PEM: for serverAuth and clientAuth, of edges and <c>ipam</c> clientAuth is enough. With key
    /// and authority, Orleans' connections are by TLS, and both ends must show one. Unset: in the clear, and whoever reaches the ports can call any grain.</summary>
    public string? CertificatePath { get; set; }

    /// <summary>The certificate's key, PEM.</summary>
    public string? KeyPath { get; set; }

    /// <summary>The cluster's own authority, PEM; in a rotation the old and the new one. Whoever it has signed is trusted, and nobody else.</summary>
    public string? CaPath { get; set; }

    /// <summary>Where the gateway listens.</summary>
    public IPAddress GatewayAddress() => GatewayForEdges ? IPAddress.Parse(Address) : IPAddress.Loopback;

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (!IPAddress.TryParse(Address, out var address) || address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any))
        {
            yield return new($"Silo:Address '{Address}' is no IP address that others can reach; correct Silo__Address.");
        }

        if (Port == GatewayPort)
        {
            yield return new($"Silo:Port and Silo:GatewayPort are both {Port}; change Silo__Port or Silo__GatewayPort.");
        }

        var files = new[] { (nameof(CertificatePath), CertificatePath), (nameof(KeyPath), KeyPath), (nameof(CaPath), CaPath) };
        if (files.Any(file => file.Item2 is null) && files.Any(file => file.Item2 is not null))
        {
            yield return new("Silo:CertificatePath, Silo:KeyPath and Silo:CaPath go together; set all three (PEM files) or none.");
        }

        foreach (var (name, path) in files.Where(file => file.Item2 is not null && !File.Exists(file.Item2)))
        {
            yield return new($"Silo:{name} '{path}' does not exist or cannot be read; correct Silo__{name}.");
        }
    }
}

/// <summary>Checks <see cref="SiloNetworkOptions"/>.</summary>
[OptionsValidator]
internal sealed partial class SiloNetworkOptionsValidator : IValidateOptions<SiloNetworkOptions>;
