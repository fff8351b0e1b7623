using System.Net;
using AwsVpcCni.Silo.Api;
using AwsVpcCni.Silo.Certificates;
using AwsVpcCni.Silo.Metrics;
using AwsVpcCni.Silo.NodeApi;
using AwsVpcCni.Silo.Options;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Hosting;

/// <summary>The two HTTP ports, and which requests go where.</summary>
internal static class Listeners
{
    /// <summary>The node API's port and the health port, each by its options.</summary>
    public static void AddListeners(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<PolicyApi.Caller>().AddSingleton<SwitchesApi.Caller>();
        builder.Services.AddOperatorApi().AddReviews().AddMetricsText();
        builder.Services.AddSingleton<DoorCertificate>().AddSingleton<IFollowed>(parts => parts.GetRequiredService<DoorCertificate>()).TryAddSingleton<TlsMetrics>();
        builder.Services.AddHostedService<FileFollower>();
        builder.WebHost.UseKestrelHttpsConfiguration();
        // What a node's connection has brought is read where it was noticed, and only the request takes another thread: one switch less
        // in each ADD. No request runs there, so nothing blocks it.
        builder.Services.Configure<SocketTransportOptions>(sockets =>
        {
            sockets.UnsafePreferInlineScheduling = true;
            sockets.MaxReadBufferSize = 64 << 10; // Of each connection, also of those that wait for their turn.
        });
        builder.Services.AddOptions<KestrelServerOptions>().Configure<IOptions<NodeApiOptions>, IOptions<HttpOptions>, DoorCertificate, ConnectionPlaces>((kestrel, door, http, certificate, places) =>
        {
            NodeApiListener.Listen(kestrel, door.Value, certificate, places);
            kestrel.Listen(IPAddress.Parse(http.Value.Address), http.Value.Port, listen => listen.Protocols = HttpProtocols.Http1);
        });
    }

    /// <summary>By the port that a request came in at, never by what it says.</summary>
    public static void UseListeners(this WebApplication app)
    {
        // An edge listens before it has found a silo.
        app.Use(toAny => http => app.Lifetime.ApplicationStarted.IsCancellationRequested || http.Request.Path.Value is "/healthz" or "/readyz"
            ? toAny(http)
            : Problems.WriteAsync(http, StatusCodes.Status503ServiceUnavailable, "not started yet", "No silo has been reached from here yet; /readyz on the health port says why. Try another door, or again."));
        // A builder of its own, since branches of the application share its routes: neither port may show the other's.
        var door = new ApplicationBuilder(app.Services);
        door.UseNodeApi();
        var toDoor = door.Build();
        app.Use(toHealth => http => NodeApiListener.IsOf(http) ? toDoor(http) : toHealth(http));
        app.UseRouting();
        app.UseReviews();
        app.UseOperatorApi();
        app.MapHealth();
        app.MapPolicy();
        app.MapSwitches();
        app.MapWaiting();
        app.MapMetrics();
    }
}
