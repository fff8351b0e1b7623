using System.Net;
using AwsVpcCni.Silo.Certificates;
using AwsVpcCni.Silo.Options;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace AwsVpcCni.Silo.NodeApi;

/// <summary>The door's own port: HTTP/2 only, by TLS with a certificate, else cleartext with prior knowledge.</summary>
internal sealed class NodeApiListener
{
    private NodeApiListener()
    {
    }

    /// <summary>Whether the request came through this listener.</summary>
    public static bool IsOf(HttpContext http) => http.Features.Get<NodeApiListener>() is not null;

    /// <summary>Opens the port.</summary>
    public static void Listen(KestrelServerOptions kestrel, NodeApiOptions options, DoorCertificate certificate, ConnectionPlaces places)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = Bodies.OfSyncs.MaxRequestBodySize;
        kestrel.Limits.MaxConcurrentConnections = 20_000;
        kestrel.Limits.Http2.MaxStreamsPerConnection = 256;
        // What is kept unread of a body whose refusal waits, so that the largest report takes 70 round trips; and others on its connection go on beside three of them.
        kestrel.Limits.Http2.InitialStreamWindowSize = 128 << 10;
        kestrel.Limits.Http2.InitialConnectionWindowSize = 512 << 10;
        // A node that vanished leaves its hint stream open; a ping finds out.
        kestrel.Limits.Http2.KeepAlivePingDelay = TimeSpan.FromSeconds(15);
        kestrel.Limits.Http2.KeepAlivePingTimeout = TimeSpan.FromSeconds(10);
        kestrel.Listen(IPAddress.Parse(options.Address), options.Port, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            listen.Use(next => connection => places.ServeAsync(connection, next));
            var marker = new NodeApiListener();
            listen.Use(next => connection =>
            {
                connection.Features.Set(marker);
                return next(connection);
            });
            if (certificate.IsSet)
            {
                listen.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = _ => ValueTask.FromResult(certificate.Now()) });
            }
        });
    }
}
