using AwsVpcCni.Core.Addressing;

namespace AwsVpcCni.Grains;

/// <summary>An address in a message between grains. As the core's JSON each would bring its type's name, which is parsed each time.</summary>
[GenerateSerializer, Immutable]
public readonly record struct IpInMessage([property: Id(0)] ulong High, [property: Id(1)] ulong Low, [property: Id(2)] bool IsV6);

/// <summary>A block in a message between grains.</summary>
[GenerateSerializer, Immutable]
public readonly record struct BlockInMessage([property: Id(0)] Ip First, [property: Id(1)] bool IsPrefix);

/// <summary>For Orleans' serializer.</summary>
[RegisterConverter]
public sealed class IpConverter : IConverter<Ip, IpInMessage>
{
    /// <inheritdoc/>
    public Ip ConvertFromSurrogate(in IpInMessage surrogate) => new(new UInt128(surrogate.High, surrogate.Low), surrogate.IsV6);

    /// <inheritdoc/>
    public IpInMessage ConvertToSurrogate(in Ip value) => new((ulong)(value.Bits >> 64), (ulong)value.Bits, value.IsV6);
}

/// <summary>For Orleans' serializer.</summary>
[RegisterConverter]
public sealed class BlockConverter : IConverter<Block, BlockInMessage>
{
    /// <inheritdoc/>
    public Block ConvertFromSurrogate(in BlockInMessage surrogate) => new(surrogate.First, surrogate.IsPrefix);

    /// <inheritdoc/>
    public BlockInMessage ConvertToSurrogate(in Block value) => new(value.First, value.IsPrefix);
}
