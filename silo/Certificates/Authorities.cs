using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace AwsVpcCni.Silo.Certificates;

/// <summary>The authorities of one file, and nobody else: who is signed by one of them is trusted. During a rotation the file has the old and the new one.</summary>
internal sealed class Authorities
{
    private readonly X509Certificate2Collection _roots;
    private readonly X509Certificate2Collection _between; // Authorities that others of the file have signed.

    private Authorities(IEnumerable<X509Certificate2> all)
    {
        var ofSelf = all.ToLookup(one => one.SubjectName.RawData.AsSpan().SequenceEqual(one.IssuerName.RawData));
        (_roots, _between) = ([.. ofSelf[true]], [.. ofSelf[false]]);
    }

    /// <exception cref="InvalidDataException">There is none in it, or one is no authority.</exception>
    public static Authorities Of(PemFile file)
    {
        var all = new X509Certificate2Collection();
        try
        {
            all.ImportFromPem(file.Text);
        }
        catch (CryptographicException e)
        {
            throw new InvalidDataException($"Silo:CaPath {file.Path} cannot be read ({e.Message}). Give a PEM file with the cluster's authority.", e);
        }

        if (all.FirstOrDefault(one => !one.Extensions.OfType<X509BasicConstraintsExtension>().Any(constraints => constraints.CertificateAuthority)) is { } leaf)
        {
            throw new InvalidDataException($"Silo:CaPath {file.Path}: {leaf.Subject} is no authority. Give the certificate of who signed, with the basic constraint CA:TRUE.");
        }

        var authorities = new Authorities(all);
        return authorities._roots.Count > 0 ? authorities
            : throw new InvalidDataException($"Silo:CaPath {file.Path} has no certificate that is signed by itself. Give a PEM file with the cluster's root authority.");
    }

    /// <summary>How a peer's chain is checked. Nothing is fetched, and there are no lists of what was withdrawn.</summary>
    /// <param name="uses">Each must be among the certificate's extended key usages, if it has any.</param>
    public X509ChainPolicy PolicyFor(params IEnumerable<Oid> uses)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true };
        policy.CustomTrustStore.AddRange(_roots);
        policy.ExtraStore.AddRange(_between);
        foreach (var use in uses)
        {
            policy.ApplicationPolicy.Add(use);
        }

        return policy;
    }

    /// <summary>What is wrong with a certificate, null: nothing.</summary>
    /// <param name="chain">What came with it.</param>
    public string? WhyNot(X509Certificate2 certificate, X509Certificate2Collection chain, params IEnumerable<Oid> uses)
    {
        using var check = new X509Chain { ChainPolicy = PolicyFor(uses) };
        check.ChainPolicy.ExtraStore.AddRange(chain);
        return check.Build(certificate) ? WhyNotNamed(certificate) : WhyNot(certificate, check);
    }

    /// <summary>Null when it says what it is for. One that does not would be for everything, and an edge's make a silo.</summary>
    public static string? WhyNotNamed(X509Certificate2 certificate) =>
        certificate.Extensions.OfType<X509EnhancedKeyUsageExtension>().Any() ? null : $"{certificate.Subject} has no extended key usage, so it does not say what it is for";

    /// <summary>Until when a good certificate stays so: its own end, or that of one that it is signed by.</summary>
    public DateTime EndOf(X509Certificate2 certificate, X509Certificate2Collection chain)
    {
        using var check = new X509Chain { ChainPolicy = PolicyFor() };
        check.ChainPolicy.ExtraStore.AddRange(chain);
        check.Build(certificate);
        return check.ChainElements.Select(one => one.Certificate.NotAfter).Append(certificate.NotAfter).Min();
    }

    /// <summary>The same of a chain that was built and found wrong.</summary>
    public static string WhyNot(X509Certificate2 certificate, X509Chain chain)
    {
        var status = chain.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, one) => all | one.Status);
        return string.Create(CultureInfo.InvariantCulture, $"{certificate.Subject} {status switch
        {
            _ when (status & (X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.PartialChain | X509ChainStatusFlags.NotSignatureValid)) != 0 => "is not signed by an authority of Silo:CaPath",
            _ when status.HasFlag(X509ChainStatusFlags.NotTimeValid) => $"is not valid now, or its authority is not (it is from {certificate.NotBefore.ToUniversalTime():yyyy-MM-dd HH:mm} to {certificate.NotAfter.ToUniversalTime():yyyy-MM-dd HH:mm} UTC)",
            _ when status.HasFlag(X509ChainStatusFlags.NotValidForUsage) => $"is not for what it is used for ({string.Join(" and ", chain.ChainPolicy.ApplicationPolicy.Cast<Oid>().Select(use => use.FriendlyName ?? use.Value))})",
            _ => $"is refused: {string.Join(", ", chain.ChainStatus.Select(one => one.StatusInformation.Trim()))}",
        }}");
    }
}
