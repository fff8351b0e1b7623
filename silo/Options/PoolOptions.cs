using System.Collections.Immutable;
using System.ComponentModel.DataAnnotations;
using AwsVpcCni.Core.Pool;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Options;

/// <summary>What a node should hold; section <c>Pool</c>. Targets that are not set: the node's demand decides.</summary>
public sealed class PoolOptions : IValidatableObject
{
    private static readonly TimeSpan UsualRest = TimeSpan.FromSeconds(120);

    /// <summary>As many free addresses as so many interfaces hold are kept ready on a node. Unset. 0 to 64. amazon-vpc-cni-k8s: WARM_ENI_TARGET.</summary>
    public int? WarmEnis { get; set; }

    /// <summary>Free, rested addresses kept ready on a node. Unset. 0 to 1024. amazon-vpc-cni-k8s: WARM_IP_TARGET.</summary>
    public int? WarmIps { get; set; }

    /// <summary>Addresses that a node holds at least. Unset. 0 to 1024. amazon-vpc-cni-k8s: MINIMUM_IP_TARGET.</summary>
    public int? MinimumIps { get; set; }

    /// <summary>Free prefixes kept ready on a node. Unset. 0 to 64. amazon-vpc-cni-k8s: WARM_PREFIX_TARGET.</summary>
    public int? WarmPrefixes { get; set; }

    /// <summary>Interfaces that a node has at most. Unset: what its type allows. 1 to 64. amazon-vpc-cni-k8s: MAX_ENI.</summary>
    public int? MaxEnis { get; set; }

    /// <summary>Draw /28 prefixes where the type takes them. Default false. amazon-vpc-cni-k8s: ENABLE_PREFIX_DELEGATION.</summary>
    public bool Prefixes { get; set; }

    /// <summary>Manage attached interfaces that carry no tag of any cluster. Default true. amazon-vpc-cni-k8s: MANAGE_UNTAGGED_ENI.</summary>
    public bool ManageUntagged { get; set; } = true;

    /// <summary>False: nothing is drawn, made or returned. Default true. amazon-vpc-cni-k8s: DISABLE_NETWORK_RESOURCE_PROVISIONING, reversed.</summary>
    public bool Provisions { get; set; } = true;

    /// <summary>On a subnet that is low a node keeps one address ready, whatever its targets, and what it has ready goes to others' waiting pods on one that is dry. Default true.</summary>
    public bool Thrift { get; set; } = true;

    /// <summary>Put on each new interface. None. amazon-vpc-cni-k8s: ADDITIONAL_ENI_TAGS.</summary>
    public Dictionary<string, string> AdditionalTags { get; set; } = [];

    /// <summary>Tags of subnets offer them to new interfaces, and exclude what is in them from pods. Default true. amazon-vpc-cni-k8s: ENABLE_SUBNET_DISCOVERY.</summary>
    public bool Discovers { get; set; } = true;

    /// <summary>Ids of subnets beside the node's own for new interfaces, in order, instead of those that tags offer: where tags cannot be read, as those of another
    /// account's shared subnets. Those of other zones are passed over. None.</summary>
    public IList<string> Subnets { get; set; } = [];

    /// <summary>Pods get addresses of <see cref="Subnets"/> alone, or where there are none of the node's ENIConfig's subnet, and the primary interface gives none. Default false. amazon-vpc-cni-k8s: AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG.</summary>
    public bool CustomNetworking { get; set; }

    /// <summary>Ids of security groups for new interfaces with custom networking, where no ENIConfig names any. None: those of the node's primary interface.</summary>
    public IList<string> SecurityGroups { get; set; } = [];

    /// <summary>A freed address is neither used nor returned before. Default 30 s. amazon-vpc-cni-k8s: IP_COOLDOWN_PERIOD.</summary>
    public TimeSpan Cooldown { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Among free addresses those that rested this long come first. Unset: 120 s, or <see cref="Cooldown"/> where that is longer.</summary>
    public TimeSpan? PreferredRest { get; set; }

    /// <summary>The same as the core knows it.</summary>
    public PoolPolicy ToPolicy() => new()
    {
        WarmEnis = WarmEnis, WarmIps = WarmIps, MinimumIps = MinimumIps, WarmPrefixes = WarmPrefixes, MaxEnis = MaxEnis, Prefixes = Prefixes,
        ManageUntagged = ManageUntagged, Provisions = Provisions, Thrift = Thrift, Discovers = Discovers, Subnets = [.. Subnets], Cooldown = Cooldown,
        CustomNetworking = CustomNetworking, SecurityGroups = [.. SecurityGroups],
        PreferredRest = PreferredRest ?? (Cooldown > UsualRest ? Cooldown : UsualRest),
        AdditionalTags = AdditionalTags.ToImmutableSortedDictionary(StringComparer.Ordinal),
    };

    /// <summary>What a number may be; null: this is none.</summary>
    internal static (int Least, int Most)? BoundsOf(string name) => name switch
    {
        nameof(WarmEnis) or nameof(WarmPrefixes) => (0, 64),
        nameof(WarmIps) or nameof(MinimumIps) => (0, 1024),
        nameof(MaxEnis) => (1, 64),
        _ => null,
    };

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        (string Name, int? Value)[] numbers =
            [(nameof(WarmEnis), WarmEnis), (nameof(WarmIps), WarmIps), (nameof(MinimumIps), MinimumIps), (nameof(WarmPrefixes), WarmPrefixes), (nameof(MaxEnis), MaxEnis)];
        foreach (var (name, value) in numbers)
        {
            if (BoundsOf(name) is var (least, most) && (value < least || value > most))
            {
                yield return new($"Pool:{name} is {value}; it must be a whole number from {least} to {most}, such as Pool__{name}=2.");
            }
        }

        if ((WarmIps ?? MinimumIps) is not null && (WarmIps ?? 0) == 0 && (MinimumIps ?? 0) == 0)
        {
            yield return new("Pool:WarmIps and Pool:MinimumIps want no address at all: an idle node would have none, so kubelet would take it for not ready and send no pod. Set one of them to at least 1, such as Pool__MinimumIps=1, or neither.");
        }

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

        foreach (var (key, value) in AdditionalTags.Where(tag => tag.Key.Length is 0 or > 128 || tag.Value is not { Length: <= 256 } || IsReserved(tag.Key)))
        {
            yield return new($"Pool:AdditionalTags has '{key}'='{value}'; a key has 1 to 128 characters, does not start with aws: or aws-vpc-cni/ and has no k8s.amazonaws.com; a value has at most 256.");
        }

        foreach (var subnet in Subnets.Where(subnet => subnet?.StartsWith("subnet-", StringComparison.Ordinal) != true))
        {
            yield return new($"Pool:Subnets has '{subnet}', which is no subnet id; set Pool__Subnets__0 and so on to ids such as subnet-0123456789abcdef0.");
        }

        foreach (var group in SecurityGroups.Where(group => group?.StartsWith("sg-", StringComparison.Ordinal) != true))
        {
            yield return new($"Pool:SecurityGroups has '{group}', which is no security group's id; set Pool__SecurityGroups__0 and so on to ids such as sg-0123456789abcdef0.");
        }

        if (SecurityGroups.Count > 16)
        {
            yield return new($"Pool:SecurityGroups has {SecurityGroups.Count} groups; EC2 takes at most 16 on an interface.");
        }

        if (SecurityGroups.Count > 0 && !CustomNetworking)
        {
            yield return new("Pool:SecurityGroups is set, and Pool:CustomNetworking is not: new interfaces have the groups of the node's primary one. Set Pool__CustomNetworking=true, or no groups.");
        }
    }

    /// <summary>EC2's own, and those by which an interface is known to be ours or nobody's.</summary>
    private static bool IsReserved(string key) =>
        key.StartsWith("aws:", StringComparison.Ordinal) || key.StartsWith("aws-vpc-cni/", StringComparison.Ordinal) || key.Contains("k8s.amazonaws.com", StringComparison.Ordinal);
}

/// <summary>Checks <see cref="PoolOptions"/>.</summary>
[OptionsValidator]
internal sealed partial class PoolOptionsValidator : IValidateOptions<PoolOptions>;
