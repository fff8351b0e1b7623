using System.Collections.Immutable;
using System.ComponentModel.DataAnnotations;
using AwsVpcCni.Core.Pool;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Options;

/// <summary>What a node should hold; section <c>Pool</c>. Targets that are not set: the node's demand decides.</summary>
public sealed class PoolOptions : IValidatableObject
{
    /// <summary>As many free addresses as so many interfaces hold are kept ready on a node. Unset. amazon-vpc-cni-k8s: WARM_ENI_TARGET.</summary>
    [Range(0, 64)]
    public int? WarmEnis { get; set; }

    /// <summary>Free, rested addresses kept ready on a node. Unset. amazon-vpc-cni-k8s: WARM_IP_TARGET.</summary>
    [Range(0, 1024)]
    public int? WarmIps { get; set; }

    /// <summary>Addresses that a node holds at least. Unset. amazon-vpc-cni-k8s: MINIMUM_IP_TARGET.</summary>
    [Range(0, 1024)]
    public int? MinimumIps { get; set; }

    /// <summary>Free prefixes kept ready on a node. Unset. amazon-vpc-cni-k8s: WARM_PREFIX_TARGET.</summary>
    [Range(0, 64)]
    public int? WarmPrefixes { get; set; }

    /// <summary>Interfaces that a node has at most. Unset: what its type allows. amazon-vpc-cni-k8s: MAX_ENI.</summary>
    [Range(1, 64)]
    public int? MaxEnis { get; set; }

    /// <summary>Draw /28 prefixes where the type takes them. Default false. amazon-vpc-cni-k8s: ENABLE_PREFIX_DELEGATION.</summary>
    public bool Prefixes { get; set; }

    /// <summary>Manage attached interfaces that carry no tag of any cluster. Default true. amazon-vpc-cni-k8s: MANAGE_UNTAGGED_ENI.</summary>
    public bool ManageUntagged { get; set; } = true;

    /// <summary>False: nothing is drawn, made or returned. Default true. amazon-vpc-cni-k8s: DISABLE_NETWORK_RESOURCE_PROVISIONING, reversed.</summary>
    public bool Provisions { get; set; } = true;

    /// <summary>Put on each new interface. None. amazon-vpc-cni-k8s: ADDITIONAL_ENI_TAGS.</summary>
    public Dictionary<string, string> AdditionalTags { get; set; } = [];

    /// <summary>Ids of subnets beside the node's own for new interfaces, in order; those of other zones are passed over. None.</summary>
    public IList<string> Subnets { get; set; } = [];

    /// <summary>A freed address is neither used nor returned before. Default 30 s. amazon-vpc-cni-k8s: IP_COOLDOWN_PERIOD.</summary>
    public TimeSpan Cooldown { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Among free addresses those that rested this long come first. Default 120 s.</summary>
    public TimeSpan PreferredRest { get; set; } = TimeSpan.FromSeconds(120);

    /// <summary>The same as the core knows it.</summary>
    public PoolPolicy ToPolicy() => new()
    {
        WarmEnis = WarmEnis, WarmIps = WarmIps, MinimumIps = MinimumIps, WarmPrefixes = WarmPrefixes, MaxEnis = MaxEnis, Prefixes = Prefixes,
        ManageUntagged = ManageUntagged, Provisions = Provisions, Subnets = [.. Subnets], Cooldown = Cooldown, PreferredRest = PreferredRest,
        AdditionalTags = AdditionalTags.ToImmutableSortedDictionary(StringComparer.Ordinal),
    };

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

        if (AdditionalTags.Count > 40)
        {
            yield return new($"Pool:AdditionalTags has {AdditionalTags.Count} tags; EC2 takes 50 on an interface, of which 10 are ours. Leave out {AdditionalTags.Count - 40}.");
        }

        foreach (var subnet in Subnets.Where(subnet => !subnet.StartsWith("subnet-", StringComparison.Ordinal)))
        {
            yield return new($"Pool:Subnets has '{subnet}', which is no subnet id; set Pool__Subnets__0 and so on to ids such as subnet-0123456789abcdef0.");
        }
    }
}

/// <summary>Checks <see cref="PoolOptions"/>.</summary>
[OptionsValidator]
internal sealed partial class PoolOptionsValidator : IValidateOptions<PoolOptions>;
