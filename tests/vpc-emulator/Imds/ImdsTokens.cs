using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;

namespace AwsVpcCni.VpcEmulator.Imds;

/// <summary>The session tokens of one instance's metadata service. Nothing is stored: a token is its end, signed with a key of this instance.</summary>
internal sealed class ImdsTokens(TimeProvider time)
{
    /// <summary>The longest life of a token, in seconds: six hours, EC2 user guide.</summary>
    public const int MaximumTtlSeconds = 21600;

    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);

    /// <param name="ttl">The header's text. Seconds from 1 to <see cref="MaximumTtlSeconds"/>.</param>
    /// <returns>Null: the time to live is missing or not allowed.</returns>
    public string? Issue(string? ttl)
    {
        if (!int.TryParse(ttl, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) || seconds is < 1 or > MaximumTtlSeconds)
        {
            return null;
        }

        var token = new byte[8 + HMACSHA256.HashSizeInBytes];
        BinaryPrimitives.WriteInt64BigEndian(token, (time.GetUtcNow() + TimeSpan.FromSeconds(seconds)).UtcTicks);
        HMACSHA256.HashData(_key, token.AsSpan(0, 8), token.AsSpan(8));
        return Convert.ToBase64String(token);
    }

    public bool IsValid(string? token)
    {
        Span<byte> bytes = stackalloc byte[8 + HMACSHA256.HashSizeInBytes];
        return token is not null
            && Convert.TryFromBase64String(token, bytes, out var length)
            && length == bytes.Length
            && CryptographicOperations.FixedTimeEquals(HMACSHA256.HashData(_key, bytes[..8]), bytes[8..])
            && time.GetUtcNow().UtcTicks < BinaryPrimitives.ReadInt64BigEndian(bytes);
    }
}
