using System.ComponentModel.DataAnnotations;
using System.Net;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Options;

/// <summary>Liveness, readiness and what operators ask, HTTP/1.1; section <c>Http</c>.</summary>
public sealed class HttpOptions : IValidatableObject
{
    /// <summary>The address to listen on. Default <c>127.0.0.1</c>.</summary>
    public string Address { get; set; } = "127.0.0.1";

    /// <summary>Default 8441; 0 takes a free one.</summary>
    [Range(0, 65535)]
    public int Port { get; set; } = 8441;

    /// <summary>Questions of operators (<c>/api/v1</c>) that are answered at once; four times as many wait, fifty times as many are answered in a second, and the rest gets 429. Default 8.</summary>
    [Range(1, 1000)]
    public int Readers { get; set; } = 8;

    /// <summary>Whoever asks here, on loopback too, must bear a token that the API server knows and have a right to the path; health is open. Unset: with <c>Kubernetes:Enabled</c>.</summary>
    public bool? Reviews { get; set; }

    /// <summary>With <see cref="Reviews"/>: <c>/metrics</c>, which names subnets but no node or pod, is told to everybody all the same. Default false.</summary>
    public bool MetricsAreOpen { get; set; }

    /// <summary>The <c>aud</c> that tokens must have here. Unset: the API server's own, so that all its tokens serve.</summary>
    public string? Audience { get; set; }

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (!IPAddress.TryParse(Address, out _))
        {
            yield return new($"Http:Address '{Address}' is no IP address; correct Http__Address (127.0.0.1 for this machine only).");
        }
    }
}

/// <summary>Checks <see cref="HttpOptions"/>.</summary>
[OptionsValidator]
internal sealed partial class HttpOptionsValidator : IValidateOptions<HttpOptions>;
