using System.ComponentModel.DataAnnotations;
using System.Net;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Options;

/// <summary>Where an edge finds the silos; section <c>Edge</c>. A silo passes over it.</summary>
public sealed class EdgeOptions : IValidatableObject
{
    /// <summary>Silos' gateways, each an address and a port such as <c>10.0.0.7:30000</c>. Default none: those of the membership table.</summary>
    public IList<string> Gateways { get; set; } = [];

    /// <summary>The same as endpoints.</summary>
    public IPEndPoint[] Endpoints() => [.. Gateways.Select(IPEndPoint.Parse)];

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext) => Gateways
        .Where(gateway => !IPEndPoint.TryParse(gateway, out var endpoint) || endpoint.Port == 0)
        .Select(gateway => new ValidationResult($"Edge:Gateways has '{gateway}', which is no address and port such as 10.0.0.7:30000; correct Edge__Gateways__0 and so on."));
}

/// <summary>Checks <see cref="EdgeOptions"/>.</summary>
[OptionsValidator]
internal sealed partial class EdgeOptionsValidator : IValidateOptions<EdgeOptions>;
