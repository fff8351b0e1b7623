using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>Whether a port of Orleans lets a caller in.</summary>
internal static class OrleansPort
{
    private static readonly TimeSpan GoodConnectionLives = TimeSpan.FromSeconds(2); // One that is refused ends within milliseconds of its handshake.

    /// <summary>Whether it still has the connection two seconds after the handshake.</summary>
    /// <param name="connection">To the port; ends here.</param>
    /// <param name="own">The certificate that is shown, with its key; null: none.</param>
    /// <param name="shown">What must show itself there; null: whatever.</param>
    public static async Task<bool> GetsInAsync(NetworkStream connection, (string Certificate, string Key)? own, string? shown, CancellationToken cancellation)
    {
        await using var stream = new SslStream(connection, leaveInnerStreamOpen: false);
        using var certificate = own is { } mine ? X509Certificate2.CreateFromPem(mine.Certificate, mine.Key) : null;
        try
        {
            await stream.AuthenticateAsClientAsync(
                new SslClientAuthenticationOptions
                {
                    RemoteCertificateValidationCallback = (_, theirs, _, _) => shown is null || theirs?.Subject == shown,
                    ClientCertificateContext = certificate is null ? null : SslStreamCertificateContext.Create(certificate, null, offline: true),
                }, cancellation);
            return await LivesAsync(stream, cancellation);
        }
        catch (Exception e) when (e is IOException or AuthenticationException)
        {
            return false;
        }
    }

    /// <summary>The same of a caller who does without TLS.</summary>
    public static async Task<bool> PlainGetsInAsync(NetworkStream connection, CancellationToken cancellation)
    {
        await using var stream = connection;
        try
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes("GET / HTTP/1.1\r\n\r\n"), cancellation);
            return await LivesAsync(stream, cancellation);
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static async Task<bool> LivesAsync(Stream stream, CancellationToken cancellation)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        patience.CancelAfter(GoodConnectionLives);
        try
        {
            // In TLS 1.3 the one who calls learns by its first read that it was refused; an alert of TLS 1.2 or a plain answer is no preamble either.
            return await stream.ReadAsync(new byte[1], patience.Token) > 0 && stream is SslStream;
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            return true;
        }
    }
}
