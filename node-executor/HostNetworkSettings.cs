using System.Collections.Immutable;
using System.Globalization;
using AwsVpcCni.CniProtocol;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Wiring;

namespace AwsVpcCni.NodeExecutor;

/// <summary>What amazon-vpc-cni-k8s's variables say about the host's network, under the same names and with the same meaning and defaults.</summary>
/// <remarks>A value that the reference would pass over (a bad CIDR, mark, mode) is refused here.</remarks>
internal sealed record HostNetworkSettings
{
    private static readonly ImmutableArray<string> True = ["1", "t", "T", "TRUE", "true", "True"]; // What Go's ParseBool takes.
    private static readonly ImmutableArray<string> False = ["0", "f", "F", "FALSE", "false", "False"];

    /// <summary>Of every interface, in bytes.</summary>
    internal int EniMtu { get; init; } = NetConf.MaxMtu;

    /// <summary>Of both ends of a pod's pair, in bytes, where the network configuration says nothing else.</summary>
    internal int PodMtu { get; init; } = NetConf.MaxMtu;

    /// <summary>How the names of host ends begin.</summary>
    internal string VethPrefix { get; init; } = VethName.DefaultPrefix;

    /// <summary>Something outside of the node translates what pods send out of the VPC; the node does not.</summary>
    internal bool ExternalSnat { get; init; }

    /// <summary>Beside the VPC's own ranges: what pods send there keeps its source. IPv4.</summary>
    internal ImmutableArray<Cidr> SnatExclusions { get; init; } = [];

    /// <summary>How SNAT chooses ports.</summary>
    internal SnatPorts SnatPorts { get; init; } = SnatPorts.FullyRandom;

    /// <summary>What goes there takes table main, from whatever pod. IPv4.</summary>
    internal ImmutableArray<Cidr> ExternalServices { get; init; } = [];

    /// <summary>Answers to what came in by the primary interface for the node itself leave by it.</summary>
    internal bool NodePorts { get; init; } = true;

    /// <summary>The bits that we set in marks of packets and connections; usually one.</summary>
    internal uint Mark { get; init; } = 0x80;

    /// <summary>The kernel's net.ipv4.tcp_early_demux.</summary>
    internal bool HasTcpEarlyDemux { get; init; } = true;

    /// <summary>Whether anything is marked, so that rule 1024 and a table of packet rules are needed.</summary>
    internal bool Marks => NodePorts || !ExternalSnat;

    /// <summary>What the environment says, or else the file, or else the reference's defaults. Adds what is wrong, with what is allowed.</summary>
    internal static HostNetworkSettings Read(Func<string, string?> environment, ExecutorSettingsFile file, List<string> errors)
    {
        T Value<T>(string name, string? fromFile, T otherwise, Func<string, T?> parse, string allowed)
            where T : struct
        {
            if ((environment(name) is { Length: > 0 } set ? set : fromFile) is not { } text)
            {
                return otherwise;
            }

            if (parse(text) is { } value)
            {
                return value;
            }

            errors.Add($"{name}={text} is not possible: {allowed}.");
            return otherwise;
        }

        bool Flag(string name, bool? fromFile, bool otherwise) => Value(name, fromFile?.ToString(), otherwise, FlagOf, "true or false");
        int Mtu(string name, int? fromFile, int otherwise) => Value(
            name, fromFile?.ToString(CultureInfo.InvariantCulture), otherwise, MtuOf, $"a whole number of bytes from {NetConf.MinMtu} to {NetConf.MaxMtu}");
        ImmutableArray<Cidr> Cidrs(string name, string[]? fromFile, string allowed, Func<string, ImmutableArray<Cidr>?> parse) => Value<ImmutableArray<Cidr>>(
            name, fromFile is null ? null : string.Join(',', fromFile), [], parse, allowed);

        var eniMtu = Mtu("AWS_VPC_ENI_MTU", file.EniMtu, NetConf.MaxMtu);
        var prefix = environment("AWS_VPC_K8S_CNI_VETHPREFIX") is { Length: > 0 } named ? named : file.VethPrefix ?? VethName.DefaultPrefix;
        if (!VethName.IsPrefix(prefix))
        {
            errors.Add($"AWS_VPC_K8S_CNI_VETHPREFIX={prefix} is not possible: 1 to {VethName.MaxPrefixLength} letters and digits, but not eth, lo or vlan: links of others have such names.");
        }

        return new HostNetworkSettings
        {
            EniMtu = eniMtu,
            PodMtu = Mtu("POD_MTU", file.PodMtu, eniMtu),
            VethPrefix = prefix,
            ExternalSnat = Flag("AWS_VPC_K8S_CNI_EXTERNALSNAT", file.ExternalSnat, false),
            SnatExclusions = Cidrs("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", file.ExcludeSnatCidrs, Ranges, CidrsOf),
            SnatPorts = Value("AWS_VPC_K8S_CNI_RANDOMIZESNAT", file.RandomizeSnat, SnatPorts.FullyRandom, PortsOf, "prng, hashrandom or none"),
            ExternalServices = Cidrs("AWS_EXTERNAL_SERVICE_CIDRS", file.ExternalServiceCidrs,
                $"{Ranges}, and not all addresses: then no pod's traffic would leave by its own interface", text => CidrsOf(text) is { } ranges && ranges.All(range => range.Length > 0) ? ranges : null),
            NodePorts = Flag("AWS_VPC_CNI_NODE_PORT_SUPPORT", file.NodePortSupport, true),
            Mark = Value("AWS_VPC_K8S_CNI_CONNMARK", file.Connmark, 0x80u, MarkOf, "a number from 1 to 0xffffffff such as 0x80 or 128"),
            HasTcpEarlyDemux = !Flag("DISABLE_TCP_EARLY_DEMUX", file.DisableTcpEarlyDemux, false),
        };
    }

    /// <returns>Null for neither.</returns>
    internal static bool? FlagOf(string text) => True.Contains(text) ? true : False.Contains(text) ? false : null;

    private static int? MtuOf(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var mtu) && mtu is >= NetConf.MinMtu and <= NetConf.MaxMtu ? mtu : null;

    private static SnatPorts? PortsOf(string text) => text switch
    {
        "prng" => SnatPorts.FullyRandom,
        "hashrandom" => SnatPorts.Random,
        "none" => SnatPorts.Kept,
        _ => null,
    };

    /// <summary>As a Go literal: 0x80, 128, 0b10000000, 0o200, 0200, 0x_80.</summary>
    private static uint? MarkOf(string text)
    {
        var (digits, radix) = text.Replace("_", "", StringComparison.Ordinal).ToLowerInvariant() switch
        {
            ['0', 'x', .. var rest] => (rest, 16),
            ['0', 'b', .. var rest] => (rest, 2),
            ['0', 'o', .. var rest] => (rest, 8),
            ['0', .. { Length: > 0 } rest] => (rest, 8),
            var all => (all, 10),
        };
        try
        {
            return digits.Length > 0 && digits.All(char.IsAsciiHexDigit) && Convert.ToUInt64(digits, radix) is > 0 and <= uint.MaxValue and var mark ? (uint)mark : null;
        }
        catch (Exception e) when (e is FormatException or OverflowException or ArgumentException)
        {
            return null;
        }
    }

    private const string Ranges = "IPv4 ranges such as 10.0.0.0/16, with commas between";

    private static ImmutableArray<Cidr>? CidrsOf(string text)
    {
        var cidrs = text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(MaskedOf).ToArray();
        return cidrs.Contains(null) ? null : [.. cidrs.Select(cidr => cidr!.Value)];
    }

    /// <summary>What is set behind the prefix does not count, as with amazon-vpc-cni-k8s.</summary>
    private static Cidr? MaskedOf(string text)
    {
        var parts = text.Split('/');
        return parts.Length == 2 && Ip.TryParse(parts[0], out var ip) && !ip.IsV6 && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var length) && length <= 32
            ? new Cidr(ip with { Bits = length == 0 ? 0 : ip.Bits >> (32 - length) << (32 - length) }, length) : null;
    }
}

/// <summary>Which port a translated connection gets when others might have it, too.</summary>
internal enum SnatPorts
{
    /// <summary>The kernel's random number for each.</summary>
    FullyRandom,

    /// <summary>A hash of source and destination, with a secret.</summary>
    Random,

    /// <summary>The pod's own port where it is free.</summary>
    Kept,
}
