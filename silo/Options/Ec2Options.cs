using System.ComponentModel.DataAnnotations;
using System.Globalization;
using AwsVpcCni.Core.Ec2Quota;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Options;

/// <summary>Where EC2 is, and which VPC is managed; section <c>Ec2</c>.</summary>
public sealed class Ec2Options : IValidatableObject
{
    /// <summary>The AWS region. Unset: <c>AWS_REGION</c>. A silo needs it, an edge does not.</summary>
    public string? Region { get; set; }

    /// <summary>The VPC whose nodes are managed. No default.</summary>
    [Required(ErrorMessage = "Ec2:VpcId is not set; set Ec2__VpcId to the VPC of the nodes, such as vpc-0123456789abcdef0.")]
    [RegularExpression("^vpc-[0-9a-f]{8,17}$", ErrorMessage = "Ec2:VpcId is no VPC id; set Ec2__VpcId to one such as vpc-0123456789abcdef0.")]
    public string? VpcId { get; set; }

    /// <summary>Where EC2 answers. Unset: <c>AWS_ENDPOINT_URL_EC2</c> when that is set, else the region's public endpoint.</summary>
    public string? Endpoint { get; set; }

    /// <summary>The account whose buckets are shared: part of the quota grain's key. Unset: one key for the region.</summary>
    [RegularExpression("^[0-9]{12}$", ErrorMessage = "Ec2:AccountId must be 12 digits; correct Ec2__AccountId or leave it unset.")]
    public string? AccountId { get; set; }

    /// <summary>Our share of the buckets that AWS documents; the rest is for the account's others. Default 0.8; 0.25 to 1.</summary>
    public double BudgetShare { get; set; } = TokenBucket.DefaultShare;

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Endpoint is not null && !(Uri.TryCreate(Endpoint, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"))
        {
            yield return new($"Ec2:Endpoint '{Endpoint}' is no http(s) URL; correct Ec2__Endpoint or leave it unset.");
        }

        if (!(BudgetShare is >= 0.25 and <= 1))
        {
            yield return new(string.Create(CultureInfo.InvariantCulture, $"Ec2:BudgetShare is {BudgetShare}; it must be 0.25 to 1, such as Ec2__BudgetShare=0.8."));
        }
    }
}

/// <summary>Checks <see cref="Ec2Options"/>.</summary>
[OptionsValidator]
internal sealed partial class Ec2OptionsValidator : IValidateOptions<Ec2Options>;
