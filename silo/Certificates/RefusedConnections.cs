using System.Net;
using Microsoft.AspNetCore.Connections;
using IsTls = Orleans.Connections.Security.ITlsConnectionFeature;

namespace AwsVpcCni.Silo.Certificates;

/// <summary>Connections of Orleans that end in their handshake: each is counted, and one line in ten seconds says how many, the last one's address and why.</summary>
/// <remarks>In place of Orleans' own warnings, which have a stack for each attempt and not the reason.</remarks>
internal sealed partial class RefusedConnections(TlsMetrics metrics, TimeProvider time, ILogger<RefusedConnections> logger)
{
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(10);
    private static readonly AsyncLocal<Attempt?> Handshake = new(); // The check of a certificate is not told which connection it is for.

    private readonly Lock _gate = new();
    private readonly Dictionary<string, (long Since, int Count)> _said = [];

    /// <summary>Puts TLS into a connection's pipeline.</summary>
    /// <param name="port">Which, for counter and log; <c>outgoing</c>: this process has called.</param>
    public void Watch(IConnectionBuilder connection, string port, Action<IConnectionBuilder> useTls)
    {
        connection.Use(next => async context =>
        {
            var attempt = new Attempt();
            Handshake.Value = attempt;
            try
            {
                await next(context);
            }
            finally
            {
                if (context.Features.Get<IsTls>()?.RemoteCertificate is null)
                {
                    Refused(port, context.RemoteEndPoint, attempt.Why ?? "no TLS handshake, or none with a certificate");
                }
            }
        });
        useTls(connection);
        connection.Use(next => context =>
        {
            Handshake.Value = null; // What follows lasts as long as the connection.
            return next(context);
        });
    }

    /// <summary>Of the handshake that is under way here.</summary>
    public static void Because(string why)
    {
        if (Handshake.Value is { } attempt)
        {
            attempt.Why = why;
        }
    }

    private void Refused(string port, EndPoint? peer, string why)
    {
        metrics.Refused(port);
        int count;
        lock (_gate)
        {
            var now = time.GetTimestamp();
            var isFirst = !_said.TryGetValue(port, out var said);
            count = said.Count + 1;
            if (!isFirst && time.GetElapsedTime(said.Since, now) < Between)
            {
                _said[port] = (said.Since, count);
                return;
            }

            _said[port] = (now, 0);
        }

        if (port == "outgoing")
        {
            LogNoSilo(peer, why);
        }
        else
        {
            LogRefused(count, port, peer, why);
        }
    }

    [LoggerMessage(EventId = 3021, Level = LogLevel.Warning, Message = "{Count} connections to the {Port} port were refused; the last is from {Peer}: {Why}.")]
    private partial void LogRefused(int count, string port, EndPoint? peer, string why);

    [LoggerMessage(EventId = 3022, Level = LogLevel.Warning, Message = "Who answers at {Peer} is no silo of this cluster: {Why}.")]
    private partial void LogNoSilo(EndPoint? peer, string why);

    private sealed class Attempt
    {
        public string? Why { get; set; }
    }
}
