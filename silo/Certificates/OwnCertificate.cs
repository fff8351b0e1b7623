using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace AwsVpcCni.Silo.Certificates;

/// <summary>A certificate with its key, and what its file has of its chain, as handshakes show it.</summary>
internal sealed class OwnCertificate
{
    private OwnCertificate(X509Certificate2 leaf, X509Certificate2Collection chain) =>
        (Leaf, Chain, Context) = (leaf, chain, SslStreamCertificateContext.Create(leaf, chain, offline: true));

    /// <summary>The file's first certificate, with the key.</summary>
    public X509Certificate2 Leaf { get; }

    /// <summary>The others of the file.</summary>
    public X509Certificate2Collection Chain { get; }

    /// <summary>Made once: a handshake builds no chain and asks nobody for parts of it.</summary>
    public SslStreamCertificateContext Context { get; }

    /// <param name="section">Of the settings, for the error: <c>NodeApi</c> or <c>Silo</c>.</param>
    /// <exception cref="InvalidDataException">They are not readable, or don't fit.</exception>
    public static OwnCertificate Of(string section, PemFile certificate, PemFile key)
    {
        try
        {
            var all = new X509Certificate2Collection();
            all.ImportFromPem(certificate.Text);
            var leaf = X509Certificate2.CreateFromPem(certificate.Text, key.Text);
            return new OwnCertificate(leaf, [.. all.Skip(1)]);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new InvalidDataException($"{section}:CertificatePath {certificate.Path} and {section}:KeyPath {key.Path}: no certificate with its key ({e.Message}). Give PEM files that belong together, the key without passphrase.", e);
        }
    }

    /// <summary>The same of files as they are now.</summary>
    /// <exception cref="IOException">One cannot be read.</exception>
    public static OwnCertificate Read(string section, string certificatePath, string keyPath) => Of(section, PemFile.Read(certificatePath), PemFile.Read(keyPath));
}

/// <summary>A file's content at one moment.</summary>
internal sealed record PemFile(string Path, string Text)
{
    /// <exception cref="IOException">It cannot be read; so <see cref="UnauthorizedAccessException"/>.</exception>
    public static PemFile Read(string path) => new(path, File.ReadAllText(path, Encoding.UTF8));
}
