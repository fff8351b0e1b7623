using System.Net;

namespace AwsVpcCni.VpcEmulator.Model;

/// <content>IPv4 prefixes: blocks of 16 addresses that an interface holds as one, taken by name or by count.</content>
public sealed partial class Vpc
{
    /// <summary>AssignPrivateIpAddresses with Ipv4Prefixes. All or none; a prefix never moves from one interface to another.</summary>
    /// <remarks>EC2 says only that it verifies that a prefix is not assigned. So a repeat is refused here, in words that say no more than for
    /// another's: whoever meets a refusal has to look.</remarks>
    public IReadOnlyList<IPNetwork> AssignIpv4Prefixes(string eniId, IReadOnlyList<IPNetwork> prefixes)
    {
        Advance();
        var eni = Existing(eniId);
        CheckNames(eni.Subnet, prefixes);
        if (prefixes.Where(eni.Subnet.IsUsed).ToList() is { Count: > 0 } used)
        {
            throw Ec2Exception.Invalid($"[{string.Join(", ", used)}] assigned, but move is not allowed.");
        }

        CheckPrefixes(eni.Attachment?.Instance.Type, prefixes.Count);
        CheckRoom(eni, prefixes.Count);
        return Add(eni, [.. prefixes]);
    }

    /// <summary>AssignPrivateIpAddresses with Ipv4PrefixCount: any blocks that are whole. All or none.</summary>
    public IReadOnlyList<IPNetwork> AssignIpv4Prefixes(string eniId, int count)
    {
        Advance();
        var eni = Existing(eniId);
        CheckPrefixes(eni.Attachment?.Instance.Type, count);
        CheckRoom(eni, count);
        return Add(eni, eni.Subnet.ChoosePrefixes(count, _random, []));
    }

    private static void CheckNames(Subnet subnet, IReadOnlyList<IPNetwork> prefixes)
    {
        foreach (var prefix in prefixes)
        {
            subnet.Check(prefix);
        }

        if (prefixes.Distinct().Count() != prefixes.Count)
        {
            throw Ec2Exception.Invalid($"Duplicate prefixes in [{string.Join(", ", prefixes)}].");
        }
    }

    /// <summary>EC2's wording was not seen.</summary>
    private static void CheckPrefixes(InstanceType? type, int prefixes)
    {
        if (type is { TakesPrefixes: false } && prefixes > 0)
        {
            throw Ec2Exception.Invalid($"Instance type {type.Type} does not support IPv4 prefixes.");
        }
    }

    private List<IPNetwork> Add(Eni eni, List<IPNetwork> prefixes)
    {
        prefixes.ForEach(eni.Add);
        if (prefixes.Count > 0)
        {
            AddressesChanged(eni);
        }

        return prefixes;
    }
}
