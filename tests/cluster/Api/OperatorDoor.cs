using System.Text.Json;
using AwsVpcCni.Silo.Api;
using AwsVpcCni.Silo.Metrics;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Tests.Cluster.Grains;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Api;

/// <summary>What operators read, before the real grains of a <see cref="GrainWorld"/>.</summary>
internal sealed class OperatorDoor : IAsyncDisposable
{
    private readonly WebApplication _app;

    private OperatorDoor(WebApplication app) => (_app, Http) = (app, new HttpClient { BaseAddress = new Uri(app.Urls.Single()) });

    /// <summary>A header of one request: the address at which it seems to come in.</summary>
    public const string CameInAt = "Came-In-At";

    public HttpClient Http { get; }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <param name="cameInAt">The address at which requests seem to come in; null: as it is.</param>
    /// <param name="region">Null: an edge that has not been told.</param>
    /// <param name="readers">At once.</param>
    public static async Task<OperatorDoor> OpenAsync(GrainWorld world, string? region = "eu-west-1", System.Net.IPAddress? cameInAt = null, int readers = 8)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Configuration.Sources.Clear();
        builder.Configuration.AddInMemoryCollection();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddSingleton(world.Grains).AddSingleton(world.Settings).AddSingleton<TimeProvider>(world.Time);
        builder.Services.Configure<Ec2Options>(ec2 => ec2.Region = region).Configure<HttpOptions>(http => http.Readers = readers).AddOperatorApi().AddMetricsText().AddSingleton<SwitchesApi.Caller>().AddSingleton(world.Metrics);
        var app = builder.Build();
        app.Use(next => http =>
        {
            http.Connection.LocalIpAddress = System.Net.IPAddress.TryParse(http.Request.Headers[CameInAt], out var own) ? own : cameInAt ?? http.Connection.LocalIpAddress;
            return next(http);
        });
        app.UseRouting();
        app.UseOperatorApi();
        app.MapWaiting();
        app.MapSwitches();
        app.MapMetrics();
        await app.StartAsync(Cancellation);
        return new OperatorDoor(app);
    }

    /// <summary>The body of a 200.</summary>
    public async Task<JsonElement> ReadAsync(string path)
    {
        using var document = await JsonDocument.ParseAsync(await Http.GetStreamAsync(path, Cancellation), default, Cancellation);
        return document.RootElement.Clone();
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _app.DisposeAsync();
    }
}
