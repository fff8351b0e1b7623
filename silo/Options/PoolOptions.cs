using System.ComponentModel.DataAnnotations;
using AwsVpcCni.Core.Pool;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Options;

/// <summary>What a node should hold; section <c>Pool</c>.</summary>
public sealed class PoolOptions : IValidatableObject
{
    /// <summary>Free, rested addresses kept ready on a node. Default 4. amazon-vpc-cni-k8s: WARM_IP_TARGET.</summary>
    [Range(0, 1024)]
    public int WarmIps { get; set; } = 4;

    /// <summary>Addresses that a node holds at least. Default 0. amazon-vpc-cni-k8s: MINIMUM_IP_TARGET.</summary>
    [Range(0, 1024)]
    public int MinimumIps { get; set; }

    /// <summary>A freed address is neither used nor returned before. Default 30 s. amazon-vpc-cni-k8s: IP_COOLDOWN_PERIOD.</summary>
    public TimeSpan Cooldown { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Among free addresses those that rested this long come first. Default 120 s.</summary>
    public TimeSpan PreferredRest { get; set; } = TimeSpan.FromSeconds(120);

    /// <summary>The same as the core knows it.</summary>
    public PoolPolicy ToPolicy() => new() { WarmIps = WarmIps, MinimumIps = MinimumIps, Cooldown = Cooldown, PreferredRest = PreferredRest };

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Cooldown < TimeSpan.Zero || Cooldown > TimeSpan.FromHours(1))
        {
            yield return new($"Pool:Cooldown is {Cooldown}; it must be 0 to 1 hour, such as Pool__Cooldown=00:00:30.");
        }

        if (PreferredRest < Cooldown || PreferredRest > TimeSpan.FromHours(2))
        {
            yield return new($"Pool:PreferredRest is {PreferredRest}; it must be at least Pool:Cooldown ({Cooldown}) and at most 2 hours, such as Pool__PreferredRest=00:02:00.");
        }
    }
}

/// <summary>Checks <see cref="PoolOptions"/>.</summary>
[OptionsValidator]
internal sealed partial class PoolOptionsValidator : IValidateOptions<PoolOptions>;
