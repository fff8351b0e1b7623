using System.Text.Json;
using System.Text.Json.Serialization;

namespace AwsVpcCni.Core.Addressing;

/// <summary>What EC2 gives in one piece: a single address, or a /28 prefix of 16 of them. Either takes one slot of an interface.</summary>
/// <remarks>Written as <c>10.0.0.9</c> or <c>10.0.0.16/28</c>.</remarks>
/// <param name="First">The address, or the prefix's base: a multiple of 16.</param>
/// <param name="IsPrefix">Whether it is a prefix.</param>
[JsonConverter(typeof(BlockJsonConverter))]
public readonly record struct Block(Ip First, bool IsPrefix = false) : IComparable<Block>
{
    /// <summary>Addresses of a prefix.</summary>
    public const int PrefixSize = 16;

    /// <summary>How many addresses it has.</summary>
    public int Size => IsPrefix ? PrefixSize : 1;

    /// <summary>Its addresses, in order. Pods use all 16 of a prefix.</summary>
    public IEnumerable<Ip> Addresses
    {
        get
        {
            for (var offset = 0; offset < Size; offset++)
            {
                yield return First + offset;
            }
        }
    }

    /// <summary>The prefix that would hold this address.</summary>
    public static Block PrefixOf(Ip address) => new(address with { Bits = address.Bits / PrefixSize * PrefixSize }, true);

    /// <summary>Reads <c>10.0.0.9</c> or <c>10.0.0.16/28</c>; false when it is neither.</summary>
    public static bool TryParse(string? text, out Block block)
    {
        block = default;
        if (Ip.TryParse(text, out var single))
        {
            block = new Block(single);
            return true;
        }

        if (!Cidr.TryParse(text, out var cidr) || cidr.Base.IsV6 || cidr.Size != PrefixSize)
        {
            return false;
        }

        block = new Block(cidr.Base, true);
        return true;
    }

    /// <summary>Whether the address is in it.</summary>
    public bool Contains(Ip address) => address.IsV6 == First.IsV6 && address.Bits >= First.Bits && address.Bits - First.Bits < (UInt128)Size;

    /// <summary>Whether one is the other, or a part of it.</summary>
    public bool Overlaps(Block other) => Contains(other.First) || other.Contains(First);

    /// <inheritdoc/>
    public int CompareTo(Block other) => First.CompareTo(other.First) is var order and not 0 ? order : IsPrefix.CompareTo(other.IsPrefix);

    /// <inheritdoc/>
    public override string ToString() => IsPrefix ? $"{First}/28" : First.ToString();
}

/// <summary>Writes a <see cref="Block"/> as its text.</summary>
public sealed class BlockJsonConverter : JsonConverter<Block>
{
    /// <inheritdoc/>
    public override Block Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        Block.TryParse(reader.GetString(), out var block) ? block : throw new JsonException("neither an address nor a /28");

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, Block value, JsonSerializerOptions options) => writer.WriteStringValue(value.ToString());
}
