using System.ComponentModel.DataAnnotations;
using System.Net;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Options;

/// <summary>The executors' door; section <c>NodeApi</c>.</summary>
public sealed class NodeApiOptions : IValidatableObject
{
    /// <summary>The address to listen on. Default <c>0.0.0.0</c>: nodes are elsewhere.</summary>
    public string Address { get; set; } = "0.0.0.0";

    /// <summary>HTTP/2 only: TLS with a certificate, else cleartext with prior knowledge. Default 8440; 0 takes a free one.</summary>
    [Range(0, 65535)]
    public int Port { get; set; } = 8440;

    /// <summary>The server's certificate and its chain, PEM. Unset: cleartext.</summary>
    public string? CertificatePath { get; set; }

    /// <summary>The certificate's key, PEM.</summary>
    public string? KeyPath { get; set; }

    /// <summary>PEM file with one or more public keys (EC P-256 or RSA) that sign the nodes' tokens. No default; unset, only Kubernetes' tokens are taken.</summary>
    public string? TokenKeyPath { get; set; }

    /// <summary>The <c>iss</c> that tokens must carry. Default <c>aws-vpc-cni</c>, as <c>ipam token</c> writes it.</summary>
    [Required(ErrorMessage = "NodeApi:TokenIssuer is empty; set NodeApi__TokenIssuer to the iss of the nodes' tokens.")]
    public string TokenIssuer { get; set; } = "aws-vpc-cni";

    /// <summary>How long the grain call behind a request may take. Default 1.5 s.</summary>
    public TimeSpan CallDeadline { get; set; } = TimeSpan.FromMilliseconds(1500);

    /// <summary>Calls that one node may make a second, with a burst of twice as many. Default 1,000: a node's waiting ADDs ask each second.</summary>
    [Range(1, 1_000_000)]
    public int CallsPerSecond { get; set; } = 1000;

    /// <summary>Connections that one address may have open, before its handshake too. Default 1,000: an executor has one or two, and a proxy that speaks for many nodes from one address has all of theirs. 20,000 are open in all.</summary>
    [Range(1, 20_000)]
    public int ConnectionsPerAddress { get; set; } = 1000;

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (!IPAddress.TryParse(Address, out _))
        {
            yield return new($"NodeApi:Address '{Address}' is no IP address; correct NodeApi__Address (0.0.0.0 for all).");
        }

        if (CertificatePath is null != KeyPath is null)
        {
            yield return new("NodeApi:CertificatePath and NodeApi:KeyPath go together; set both (PEM files) or none.");
        }

        foreach (var (name, path) in new[] { (nameof(CertificatePath), CertificatePath), (nameof(KeyPath), KeyPath), (nameof(TokenKeyPath), TokenKeyPath) })
        {
            if (!string.IsNullOrEmpty(path) && !File.Exists(path))
            {
                yield return new($"NodeApi:{name} '{path}' does not exist or cannot be read; correct NodeApi__{name}.");
            }
        }

        if (CallDeadline < TimeSpan.FromMilliseconds(50) || CallDeadline > TimeSpan.FromMinutes(1))
        {
            yield return new($"NodeApi:CallDeadline is {CallDeadline}; it must be 50 ms to 1 minute, such as NodeApi__CallDeadline=00:00:01.500.");
        }
    }
}

/// <summary>Checks <see cref="NodeApiOptions"/>.</summary>
[OptionsValidator]
internal sealed partial class NodeApiOptionsValidator : IValidateOptions<NodeApiOptions>;
