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
    public DoorCertificate(IOptions<NodeApiOptions> door, TlsMetrics metrics, ILogger<DoorCertificate> logger)
    {
        if (door.Value is { CertificatePath: { } certificate, KeyPath: { } key })
        {
            _files = new("The node API's certificate", [certificate, key], files => OwnCertificate.Of("NodeApi", files[0], files[1]), own => Describe(own), logger);
            metrics.Follow("node_api", () => _files.Current.Leaf.NotAfter);
        }
    }

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
