using System.Net;
using System.Text.Json;

namespace AwsVpcCni.VpcEmulator.Model;

/// <summary>What a CreateNetworkInterface asks for.</summary>
public sealed record CreateEni
{
    public required string SubnetId { get; init; }

    public string Description { get; init; } = "";

    /// <summary>Null: EC2 picks one.</summary>
    public IPAddress? Primary { get; init; }

    public IReadOnlyList<IPAddress> Secondary { get; init; } = [];

    /// <summary>How many more EC2 picks. Not together with <see cref="Secondary"/>.</summary>
    public int SecondaryCount { get; init; }

    /// <summary>/28 blocks. Not together with secondary addresses, named or counted.</summary>
    public IReadOnlyList<IPNetwork> Prefixes { get; init; } = [];

    /// <summary>How many blocks EC2 picks. Not together with <see cref="Prefixes"/>.</summary>
    public int PrefixCount { get; init; }

    /// <summary>Ids. Empty: the VPC's default group.</summary>
    public IReadOnlyList<string> Groups { get; init; } = [];

    public IReadOnlyDictionary<string, string> Tags { get; init; } = new SortedDictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Null: a repeat makes another interface.</summary>
    public string? ClientToken { get; init; }

    /// <summary>The same for the same parameters, whatever the process.</summary>
    internal string Fingerprint() => JsonSerializer.Serialize(new
    {
        SubnetId, Description, Primary = Primary?.ToString(), Secondary = Secondary.Select(address => address.ToString()), SecondaryCount, Groups,
        Prefixes = Prefixes.Select(prefix => prefix.ToString()), PrefixCount,
        Tags = Tags.OrderBy(tag => tag.Key, StringComparer.Ordinal).Select(tag => $"{tag.Key}={tag.Value}"),
    });
}
