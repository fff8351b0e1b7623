using System.Collections.Immutable;
using System.Text.Json.Serialization;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Grains.Subnet;

/// <summary>What one change of a ledger has drawn or returned. A thousand of these stand in a document while many nodes start: hence the short names.</summary>
/// <param name="Change">The ledger's change number.</param>
/// <param name="IsReturn">False when drawn.</param>
/// <param name="NodeId">Who has said so.</param>
/// <param name="NodeChange">The number of that node document's last write.</param>
/// <param name="At">UTC, in milliseconds of the Unix epoch.</param>
/// <param name="Blocks">Of which it is the last change; 16 addresses that make a /28 are one.</param>
public sealed record LedgerChange(
    [property: JsonPropertyName("c")] long Change,
    [property: JsonPropertyName("r"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool IsReturn,
    [property: JsonPropertyName("n")] string NodeId,
    [property: JsonPropertyName("v")] long NodeChange,
    [property: JsonPropertyName("t")] long At,
    [property: JsonPropertyName("b")] ImmutableArray<Block> Blocks) : DocumentPart
{
    private const int OfTheRest = 100; // Names, punctuation and four numbers, 13 digits each.

    /// <summary>Bytes in a document, at most.</summary>
    [JsonIgnore]
    public int Bytes => OfTheRest + NodeId.Length + BytesOf(Blocks);

    /// <summary>The same of blocks: <c>"255.255.255.240/28",</c> or <c>"255.255.255.255",</c>.</summary>
    internal static int BytesOf(ImmutableArray<Block> blocks) => blocks.Sum(block => block.IsPrefix ? 21 : 18);

    /// <summary>Whether it is of this address.</summary>
    public bool Has(Ip address) => Blocks.Any(block => block.Contains(address));

    /// <summary>Without these; null when nothing is left.</summary>
    public LedgerChange? Without(IReadOnlySet<Ip> addresses)
    {
        if (!Blocks.Any(block => block.Addresses.Any(addresses.Contains)))
        {
            return this;
        }

        var left = Joined(Blocks.SelectMany(block => block.Addresses).Where(address => !addresses.Contains(address)));
        return left.IsEmpty ? null : this with { Blocks = left };
    }

    /// <summary>In order, and those that make a /28 as one.</summary>
    public static ImmutableArray<Block> Joined(IEnumerable<Ip> addresses) =>
        [.. addresses.Distinct().Order().GroupBy(Block.PrefixOf).SelectMany(group => group.Count() == Block.PrefixSize ? [group.Key] : group.Select(address => new Block(address)))];
}
