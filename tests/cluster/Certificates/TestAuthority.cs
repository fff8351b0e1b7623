using System.Diagnostics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace AwsVpcCni.Tests.Cluster.Certificates;

/// <summary>A certificate authority of a test.</summary>
internal sealed class TestAuthority : IDisposable
{
    public static readonly string[] BothWays = ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"];
    public static readonly string[] ToCall = ["1.3.6.1.5.5.7.3.2"];

    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2 _certificate;

    public TestAuthority(string name, TestAuthority? signedBy = null)
    {
        var request = new CertificateRequest($"CN={name}", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        _certificate = signedBy is null
            ? request.CreateSelfSigned(Now.AddDays(-30), Now.AddDays(30))
            : request.Create(signedBy._certificate.SubjectName, signedBy.Generator, Now.AddDays(-30), Now.AddDays(29), RandomNumberGenerator.GetBytes(16));
    }

    private static DateTimeOffset Now => TimeProvider.System.GetUtcNow();

    public string Pem => _certificate.ExportCertificatePem() + "\n";

    private X509SignatureGenerator Generator => X509SignatureGenerator.CreateForECDsa(_key);

    /// <summary>The caller's, as PEM.</summary>
    /// <param name="uses">Extended key usages.</param>
    /// <param name="hours">From now on; below 0: over since.</param>
    public (string Certificate, string Key) Issue(string name, IEnumerable<string> uses, double hours = 1)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([.. uses.Select(use => new Oid(use))], critical: false));
        using var certificate = request.Create(_certificate.SubjectName, Generator, Now.AddDays(-2), Now.AddHours(hours), RandomNumberGenerator.GetBytes(16));
        return (certificate.ExportCertificatePem() + "\n", key.ExportPkcs8PrivateKeyPem() + "\n");
    }

    public void Dispose()
    {
        _certificate.Dispose();
        _key.Dispose();
    }
}

/// <summary>A folder with <c>tls.crt</c>, <c>tls.key</c> and <c>ca.crt</c>, as a secret is mounted: what is in it changes at once, by a link.</summary>
internal sealed class TestSecret(string folder)
{
    private static readonly string[] Names = ["tls.crt", "tls.key", "ca.crt"];
    private int _version;

    /// <summary>In the place of what was there.</summary>
    public TestSecret With((string Certificate, string Key) own, string authorities)
    {
        var version = Directory.CreateDirectory(Path.Combine(folder, $"..{_version++}"));
        File.WriteAllText(Path.Combine(version.FullName, "tls.crt"), own.Certificate);
        File.WriteAllText(Path.Combine(version.FullName, "tls.key"), own.Key);
        File.WriteAllText(Path.Combine(version.FullName, "ca.crt"), authorities);
        var link = Path.Combine(folder, "..next");
        File.CreateSymbolicLink(link, version.FullName);
        using (var move = Process.Start("mv", ["-T", link, Path.Combine(folder, "..data")])) // As a kubelet does it; File.Move takes no link to a folder.
        {
            move.WaitForExit();
        }

        foreach (var name in Names.Where(name => !File.Exists(Path.Combine(folder, name))))
        {
            File.CreateSymbolicLink(Path.Combine(folder, name), Path.Combine("..data", name));
        }

        return this;
    }

    /// <summary>One of its files, as settings name it.</summary>
    public string PathOf(string name) => Path.Combine(folder, name);

    /// <summary>What names it to a silo, an edge or <c>ipam</c>.</summary>
    public Dictionary<string, string> Settings => new()
    {
        ["Silo__CertificatePath"] = Path.Combine(folder, "tls.crt"),
        ["Silo__KeyPath"] = Path.Combine(folder, "tls.key"),
        ["Silo__CaPath"] = Path.Combine(folder, "ca.crt"),
    };
}
