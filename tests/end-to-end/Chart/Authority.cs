using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace AwsVpcCni.Tests.EndToEnd.Chart;

/// <summary>Signs certificates: of the API server, and of the silos' node API.</summary>
internal sealed class Authority : IDisposable
{
    private readonly DateTimeOffset start = TimeProvider.System.GetUtcNow().AddMinutes(-5);
    private readonly X509Certificate2 own;
    private int made;

    public Authority(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
        own = request.CreateSelfSigned(start, start.AddDays(1));
    }

    /// <summary>Its own certificate, PEM.</summary>
    public string Pem => own.ExportCertificatePem();

    /// <summary>A server's certificate for an address or a name, with its key.</summary>
    public (string Certificate, string Key) Issue(string server)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=server", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        if (IPAddress.TryParse(server, out var address))
        {
            names.AddIpAddress(address);
        }
        else
        {
            names.AddDnsName(server);
        }

        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.Create(own, start, start.AddHours(12), [(byte)++made]);
        return (certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
    }

    public void Dispose() => own.Dispose();
}
