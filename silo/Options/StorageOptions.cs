using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Options;

/// <summary>The embedded store; section <c>Storage</c>.</summary>
public sealed class StorageOptions : IValidatableObject
{
    /// <summary>The SQLite file. Its folder is made when missing. Default <c>/var/lib/aws-vpc-cni/silo.db</c>.</summary>
    [Required(ErrorMessage = "Storage:Path is empty; set Storage__Path to a file on a local disk.")]
    public string Path { get; set; } = "/var/lib/aws-vpc-cni/silo.db";

    /// <summary>How long one read or write of a row may take, its wait for others included. Default 150 ms.</summary>
    public TimeSpan AttemptDeadline { get; set; } = TimeSpan.FromMilliseconds(150);

    /// <summary>The same for a document, which no ADD waits for. Default 1 s.</summary>
    public TimeSpan DocumentDeadline { get; set; } = TimeSpan.FromSeconds(1);

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (!string.IsNullOrEmpty(Path) && !System.IO.Path.IsPathRooted(Path))
        {
            yield return new($"Storage:Path '{Path}' is not absolute; set Storage__Path to a full path such as /var/lib/aws-vpc-cni/silo.db.");
        }

        foreach (var (name, value) in new[] { (nameof(AttemptDeadline), AttemptDeadline), (nameof(DocumentDeadline), DocumentDeadline) })
        {
            if (value < TimeSpan.FromMilliseconds(10) || value > TimeSpan.FromMinutes(1))
            {
                yield return new($"Storage:{name} is {value}; it must be 10 ms to 1 minute, such as Storage__{name}=00:00:00.150.");
            }
        }
    }
}

/// <summary>Checks <see cref="StorageOptions"/>.</summary>
[OptionsValidator]
internal sealed partial class StorageOptionsValidator : IValidateOptions<StorageOptions>;
