using System.Diagnostics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using AwsVpcCni.Silo.Certificates;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Certificates;

/// <summary>What is said of certificates that are no good, before anything begins.</summary>
public sealed class PeerTlsFilesTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("avc-tls-");
    private readonly TestAuthority _authority = new("cluster");
    private readonly TlsMetrics _metrics = new();
    private int _secrets;

    public void Dispose()
    {
        _metrics.Dispose();
        _authority.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public void What_is_signed_valid_and_for_both_ways_is_taken_of_a_chain_too()
    {
        using var issuer = new TestAuthority("issuer", signedBy: _authority);
        var (certificate, key) = issuer.Issue("silo", TestAuthority.BothWays);

        Assert.Null(Refusal(_authority.Issue("silo", TestAuthority.BothWays), _authority.Pem));
        Assert.Null(Refusal((certificate + issuer.Pem, key), _authority.Pem));
        Assert.Null(Refusal((certificate, key), issuer.Pem + _authority.Pem));
        Assert.Null(Refusal(_authority.Issue("edge", TestAuthority.ToCall), _authority.Pem, PeerRole.Client));
    }

    [Fact]
    public void Each_defect_is_named_with_what_to_do()
    {
        using var other = new TestAuthority("cluster");
        using var issuer = new TestAuthority("issuer", signedBy: _authority);
        var good = _authority.Issue("silo", TestAuthority.BothWays);

        Said(Refusal((good.Certificate, _authority.Issue("silo", TestAuthority.BothWays).Key), _authority.Pem), "no certificate with its key", "Give PEM files that belong together");
        Said(Refusal((good.Key, good.Certificate), _authority.Pem), "no certificate with its key", "Give PEM files that belong together");
        Said(Refusal(good, other.Pem), "CN=silo is not signed by an authority of Silo:CaPath", "Give one that is signed by the authority in Silo:CaPath");
        Said(Refusal(issuer.Issue("silo", TestAuthority.BothWays), _authority.Pem), "is not signed by an authority of Silo:CaPath", "Give one that is signed");
        Said(Refusal(_authority.Issue("silo", TestAuthority.BothWays, hours: -1), _authority.Pem), "is not valid now", "that is valid now");
        Said(Refusal(_authority.Issue("silo", TestAuthority.ToCall), _authority.Pem), "is not for what it is used for", "whose extended key usage has serverAuth and clientAuth");
        Said(Refusal(good, good.Certificate), "CN=silo is no authority", "CA:TRUE");
        Said(Refusal(good, ""), "has no certificate that is signed by itself", "Give a PEM file with the cluster's root authority");
        Said(Refusal(issuer.Issue("silo", TestAuthority.BothWays), issuer.Pem), "has no certificate that is signed by itself", "root authority");
    }

    [Fact]
    public async Task What_security_md_says_to_type_makes_certificates_that_are_taken()
    {
        await TypeAsync("security.md", "  openssl req -x509", "```");
        Assert.StartsWith("CN=silo, good from ", PeerTls.Check(new SiloNetworkOptions { CertificatePath = Of("tls.crt"), KeyPath = Of("tls.key"), CaPath = Of("ca.crt") }), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_install_md_says_to_type_makes_a_node_API_certificate_that_executors_trust_by_the_services_name()
    {
        await TypeAsync("install.md", "   name=cni-", "   kubectl ");
        using var certificate = X509Certificate2.CreateFromPemFile(Of("tls.crt"), Of("tls.key"));
        using var authority = X509CertificateLoader.LoadCertificateFromFile(Of("ca.crt"));
        using var chain = new X509Chain { ChainPolicy = { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, CustomTrustStore = { authority }, ApplicationPolicy = { new Oid("1.3.6.1.5.5.7.3.1") } } };
        Assert.True(chain.Build(certificate), string.Join("; ", chain.ChainStatus.Select(one => one.StatusInformation)));
        Assert.True(certificate.MatchesHostname("cni-aws-vpc-cni-distributed-silo.kube-system.svc"));
    }

    private string Of(string name) => Path.Combine(_folder.FullName, name);

    /// <summary>The lines of a document from the first of these words up to the second.</summary>
    private async Task TypeAsync(string document, string from, string to)
    {
        var lines = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "docs", document), TestContext.Current.CancellationToken);
        var start = lines.IndexOf(from, StringComparison.Ordinal);
        using var shell = Process.Start(new ProcessStartInfo("sh", ["-e", "-c", lines[start..lines.IndexOf(to, start, StringComparison.Ordinal)]]) { WorkingDirectory = _folder.FullName, RedirectStandardError = true })!;
        var said = await shell.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await shell.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(shell.ExitCode == 0, said);
    }

    private static void Said(string? refusal, string what, string advice)
    {
        Assert.NotNull(refusal);
        Assert.Contains(what, refusal, StringComparison.Ordinal);
        Assert.Contains(advice, refusal, StringComparison.Ordinal);
    }

    private string? Refusal((string, string) own, string authorities, PeerRole role = PeerRole.Silo)
    {
        var secret = new TestSecret(_folder.CreateSubdirectory($"{_secrets++}").FullName).With(own, authorities);
        var network = Microsoft.Extensions.Options.Options.Create(new SiloNetworkOptions
        {
            CertificatePath = secret.PathOf("tls.crt"), KeyPath = secret.PathOf("tls.key"), CaPath = secret.PathOf("ca.crt"),
        });
        return Record.Exception(() => new PeerTls(
            role, network, new RefusedConnections(_metrics, TimeProvider.System, NullLogger<RefusedConnections>.Instance), _metrics, NullLogger<PeerTls>.Instance)) switch
        {
            null => null,
            InvalidDataException e => e.Message,
            { } e => throw new InvalidOperationException("another error than expected", e),
        };
    }
}
