using System.Collections.Immutable;

namespace AwsVpcCni.Core.Subnets;

/// <summary>A subnet of a node's zone.</summary>
/// <param name="IsHome">The node's primary interface is in it.</param>
/// <param name="Role">What its tags say.</param>
/// <param name="Free">Addresses that its ledger would name.</param>
/// <param name="FreePrefixes">The same of whole /28s.</param>
public readonly record struct SubnetPlace(string SubnetId, bool IsHome, SubnetRole Role, int Free = 0, int FreePrefixes = 0);

/// <summary>In which subnets a node's new interfaces may be, and which of them comes first. Pure.</summary>
/// <remarks>As amazon-vpc-cni-k8s 1.23.1 has it (vpc-cni.md 1.4), but that free is what no other node has set aside: nodes that choose at the same moment do not all
/// choose the same.</remarks>
public static class SubnetChoice
{
    /// <summary>Whether a new interface may be there.</summary>
    /// <param name="discovers">Tags offer subnets. Else it is the node's own only, and that not when its tag excludes it.</param>
    /// <param name="listed">Subnets that the policy names: they are taken for the tagged ones.</param>
    /// <param name="onlyListed">Custom networking: those that are listed and no others, whatever their tags say.</param>
    public static bool MayBe(SubnetPlace place, bool discovers, ImmutableArray<string> listed, bool onlyListed = false) => place.Role switch
    {
        _ when onlyListed => listed.Contains(place.SubnetId),
        SubnetRole.Excluded => false,
        _ when !listed.IsEmpty || !discovers => place.IsHome || listed.Contains(place.SubnetId),
        SubnetRole.Marked => true,
        SubnetRole.Unmarked => place.IsHome,
        _ => false,
    };

    /// <summary>Those in which it may be: with most free first. Where the policy lists subnets, the node's own, and then those in the order of the list.</summary>
    /// <param name="prefixes">Whole /28s are wanted; among those that have as many, addresses decide.</param>
    /// <inheritdoc cref="MayBe"/>
    public static ImmutableArray<string> Order(IEnumerable<SubnetPlace> places, bool discovers, ImmutableArray<string> listed, bool prefixes, bool onlyListed = false)
    {
        var may = places.Where(place => MayBe(place, discovers, listed, onlyListed));
        return [.. (listed.IsEmpty
            ? may.OrderByDescending(place => prefixes ? place.FreePrefixes : 0).ThenByDescending(place => place.Free).ThenByDescending(place => place.IsHome)
            : may.OrderBy(place => place.IsHome && !onlyListed ? -1 : listed.IndexOf(place.SubnetId))).ThenBy(place => place.SubnetId, StringComparer.Ordinal).Select(place => place.SubnetId)];
    }

    /// <summary>Whether interfaces that are there give pods no address any more. Without discovery tags change nothing for what is there, as in the reference.</summary>
    public static bool IsExcluded(SubnetRole role, bool discovers) => discovers && role == SubnetRole.Excluded;

    /// <summary>Why no new interface may be there; null when one may.</summary>
    public static string? WhyNot(SubnetPlace place, bool discovers, ImmutableArray<string> listed, bool onlyListed = false) => MayBe(place, discovers, listed, onlyListed) ? null : place.Role switch
    {
        _ when onlyListed => "is not custom networking's",
        SubnetRole.Excluded => $"is tagged {SubnetRoles.RoleTag}=0",
        _ when !listed.IsEmpty => "is not in the policy's list",
        _ when !discovers => "is not the node's own, and discovery is off",
        SubnetRole.Unmarked => $"has no tag {SubnetRoles.RoleTag}",
        _ => $"is for other clusters by its tags {SubnetRoles.ClusterTagPrefix}NAME",
    };
}
