using System.Globalization;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using AwsVpcCni.Silo.Options;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using Orleans.Connections.Security;

namespace AwsVpcCni.Silo.Certificates;

/// <summary>TLS on Orleans' connections: between silos, and from edges and <c>ipam</c> to gateways. Both ends show a certificate, and each trusts
/// the cluster's own authority alone; off when the settings name no certificate.</summary>
/// <remarks>Names are not compared, since silos have whatever address their node has: who the authority has signed is in. What a certificate is
/// for counts: a gateway's caller needs clientAuth, a silo serverAuth and clientAuth, so an edge's certificate makes no silo.</remarks>
internal sealed partial class PeerTls : IFollowed
{
    private static readonly TimeSpan HandshakeTakes = TimeSpan.FromSeconds(5);
    private static readonly Oid ServerAuth = new("1.3.6.1.5.5.7.3.1", "serverAuth");
    private static readonly Oid ClientAuth = new("1.3.6.1.5.5.7.3.2", "clientAuth");

    private readonly ILogger _logger;
    private readonly RefusedConnections _refused;
    private readonly Followed<Identity>? _files;

    /// <param name="role">What this process is.</param>
    /// <exception cref="InvalidDataException">The files are not good, with what to do; or <see cref="IOException"/>: they cannot be read.</exception>
    public PeerTls(PeerRole role, IOptions<SiloNetworkOptions> network, RefusedConnections refused, TlsMetrics metrics, ILogger<PeerTls> logger)
    {
        (_refused, _logger) = (refused, logger);
        if (network.Value is { CertificatePath: { } certificate, KeyPath: { } key, CaPath: { } ca })
        {
            var uses = UsesOf(role);
            _files = new("The certificate for Orleans", [certificate, key, ca], files => Identity.Of(files[0], files[1], files[2], uses), one => DoorCertificate.Describe(one.Own), logger);
            metrics.Follow("orleans", () => _files.Current.End);
            LogOn(DoorCertificate.Describe(_files.Current.Own), ca);
        }
        else if (role is PeerRole.Silo)
        {
            LogOffAtSilo();
        }
        else
        {
            LogOff();
        }
    }

    /// <summary>Looks at a silo's files.</summary>
    /// <returns>Whose they are and until when.</returns>
    /// <exception cref="InvalidDataException">As the constructor.</exception>
    public static string Check(SiloNetworkOptions network) => DoorCertificate.Describe(
        Identity.Of(PemFile.Read(network.CertificatePath!), PemFile.Read(network.KeyPath!), PemFile.Read(network.CaPath!), UsesOf(PeerRole.Silo)).Own);

    /// <summary>Of a silo: both its ports, and what it calls other silos by.</summary>
    public void Protect(SiloConnectionOptions connections)
    {
        if (_files is not null)
        {
            connections.ConfigureSiloInboundConnection(connection => UseServer(connection, "silo", ServerAuth, ClientAuth));
            connections.ConfigureGatewayInboundConnection(connection => UseServer(connection, "gateway", ClientAuth));
            connections.ConfigureSiloOutboundConnection(UseClient);
        }
    }

    /// <summary>Of a client of silos.</summary>
    public void Protect(ClientConnectionOptions connections)
    {
        if (_files is not null)
        {
            connections.ConfigureConnection(UseClient);
        }
    }

    /// <inheritdoc/>
    public void Look() => _files?.Look();

    private static Oid[] UsesOf(PeerRole role) => role is PeerRole.Silo ? [ServerAuth, ClientAuth] : [ClientAuth];

    private void UseServer(IConnectionBuilder connection, string port, params Oid[] uses) => _refused.Watch(connection, port, inner => inner.UseServerTls(new TlsOptions
    {
        SslProtocols = SslProtocols.Tls13, // Both ends are ours.
        HandshakeTimeout = HandshakeTakes,
        RemoteCertificateMode = RemoteCertificateMode.RequireCertificate,
        RemoteCertificateValidation = IsTrusted,
        LocalServerCertificateSelector = (_, _) => _files!.Current.Own.Leaf, // It must be there; the context takes its place.
        OnAuthenticateAsServer = (_, options) =>
        {
            var (now, tls) = (_files!.Current, (SslServerAuthenticationOptions)options.SslServerAuthenticationOptions);
            tls.ServerCertificateSelectionCallback = null;
            tls.ServerCertificateContext = now.Own.Context;
            tls.CertificateChainPolicy = now.Trusted.PolicyFor(uses);
            tls.AllowTlsResume = false; // Connections last: each is checked by what holds when it begins.
        },
    }));

    private void UseClient(IConnectionBuilder connection) => _refused.Watch(connection, "outgoing", inner => inner.UseClientTls(new TlsOptions
    {
        SslProtocols = SslProtocols.Tls13,
        HandshakeTimeout = HandshakeTakes,
        RemoteCertificateMode = RemoteCertificateMode.RequireCertificate,
        RemoteCertificateValidation = IsTrusted,
        ClientCertificateMode = RemoteCertificateMode.RequireCertificate,
        LocalCertificate = _files!.Current.Own.Leaf, // As above.
        OnAuthenticateAsClient = (_, options) =>
        {
            var (now, tls) = (_files.Current, (SslClientAuthenticationOptions)options.SslClientAuthenticationOptions);
            tls.ClientCertificates = null;
            tls.ClientCertificateContext = now.Own.Context;
            tls.CertificateChainPolicy = now.Trusted.PolicyFor(ServerAuth);
            tls.AllowTlsResume = false;
            tls.TargetHost = "";
        },
    }));

    private static bool IsTrusted(X509Certificate2 certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        var unnamed = Authorities.WhyNotNamed(certificate);
        if (unnamed is null && (errors & ~SslPolicyErrors.RemoteCertificateNameMismatch) is SslPolicyErrors.None)
        {
            return true;
        }

        RefusedConnections.Because(unnamed ?? (chain is null ? $"{certificate.Subject} cannot be checked" : Authorities.WhyNot(certificate, chain)));
        return false;
    }

    [LoggerMessage(EventId = 3025, Level = LogLevel.Information, Message = "Orleans' connections are by mutual TLS: this is {Own}, and who an authority of {Ca} has signed is trusted.")]
    private partial void LogOn(string own, string ca);

    [LoggerMessage(EventId = 3026, Level = LogLevel.Information,
        Message = "Orleans' ports (Silo:Port, Silo:GatewayPort) have no TLS and ask nobody who they are: whoever reaches one can call any grain. Set Silo:CertificatePath, Silo:KeyPath and Silo:CaPath, or keep all but silos and edges off them.")]
    private partial void LogOffAtSilo();

    [LoggerMessage(EventId = 3027, Level = LogLevel.Information, Message = "The way to the silos is in the clear: Silo:CertificatePath, Silo:KeyPath and Silo:CaPath are not set.")]
    private partial void LogOff();

    /// <summary>What this process shows, and whom it trusts.</summary>
    /// <param name="End">Until when others take it.</param>
    private sealed record Identity(OwnCertificate Own, Authorities Trusted, DateTime End)
    {
        public static Identity Of(PemFile certificate, PemFile key, PemFile ca, Oid[] uses)
        {
            var (own, trusted) = (OwnCertificate.Of("Silo", certificate, key), Authorities.Of(ca));
            return trusted.WhyNot(own.Leaf, own.Chain, uses) is { } why
                ? throw new InvalidDataException(string.Create(CultureInfo.InvariantCulture,
                    $"Silo:CertificatePath {certificate.Path}: {why}. Give one that is signed by the authority in Silo:CaPath {ca.Path}, that is valid now, and whose extended key usage has {string.Join(" and ", uses.Select(use => use.FriendlyName))}."))
                : new Identity(own, trusted, trusted.EndOf(own.Leaf, own.Chain));
        }
    }
}

/// <summary>What a process is to Orleans.</summary>
internal enum PeerRole
{
    /// <summary>It calls, and is called by silos and clients.</summary>
    Silo,

    /// <summary>It calls gateways only: an edge, <c>ipam</c>.</summary>
    Client,
}
