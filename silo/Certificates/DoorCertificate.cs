using System.Globalization;
using System.Net.Security;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Certificates;

/// <summary>What the node API shows to executors.</summary>
internal sealed class DoorCertificate : IFollowed
{
    private readonly Followed<OwnCertificate>? _files;

    /// <exception cref="InvalidDataException">Certificate and key cannot be read, or don't fit.</exception>
    public DoorCertificate(IOptions<NodeApiOptions> door, TlsMetrics metrics, TimeProvider time, ILogger<DoorCertificate> logger)
    {
        if (door.Value is { CertificatePath: { } certificate, KeyPath: { } key })
        {
            _files = new("The node API's certificate", [certificate, key], files => Taken(OwnCertificate.Of("NodeApi", files[0], files[1]), time.GetUtcNow()), own => Describe(own), logger);
            metrics.Follow("node_api", () => _files.Current.Leaf.NotAfter);
        }
    }

    /// <summary>One that replaces another must be good now. At the start there is no other: executors refuse it, and the silo does all else.</summary>
    private OwnCertificate Taken(OwnCertificate own, DateTimeOffset now) => _files is null || (own.Leaf.NotBefore <= now && now < own.Leaf.NotAfter) ? own
        : throw new InvalidDataException($"{Describe(own)}: it is not valid now.");

    /// <summary>Whether there is one; else the port is cleartext.</summary>
    public bool IsSet => _files is not null;

    /// <summary>For a connection that begins now.</summary>
    public SslServerAuthenticationOptions Now() => new() { ServerCertificateContext = _files!.Current.Context };

    /// <inheritdoc/>
    public void Look() => _files?.Look();

    /// <summary>Whose it is and until when.</summary>
    public static string Describe(OwnCertificate own) => string.Create(
        CultureInfo.InvariantCulture, $"{own.Leaf.Subject}, good from {own.Leaf.NotBefore.ToUniversalTime():yyyy-MM-dd HH:mm} to {own.Leaf.NotAfter.ToUniversalTime():yyyy-MM-dd HH:mm} UTC");
}
