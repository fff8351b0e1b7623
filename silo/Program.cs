using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Certificates;
using AwsVpcCni.Silo.Cli;
using AwsVpcCni.Silo.Ec2;
using AwsVpcCni.Silo.Hosting;
using AwsVpcCni.Silo.Kubernetes;
using AwsVpcCni.Silo.NodeApi;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Storage;
using Microsoft.Extensions.Logging.Console;

namespace AwsVpcCni.Silo;

/// <summary>Entry point, and the composition root.</summary>
internal static class Program
{
    private static async Task<int> Main(string[] words)
    {
        try
        {
            return await Commands.RunAsync(words, RunSiloAsync, RunEdgeAsync);
        }
        catch (CommandException e)
        {
            return Fail(e.Lines);
        }
        catch (Exception e) when (e is StoreException or IOException or UnauthorizedAccessException or InvalidDataException)
        {
            return Fail([e.Message]);
        }
    }

    /// <summary>Settings and logging only; <see cref="Build"/> or <see cref="BuildEdge"/> adds the parts.</summary>
    internal static WebApplicationBuilder CreateBuilder()
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration.AddSiloSettings();
        builder.Logging.AddConsole(console => console.FormatterName = LineFormatter.FormatterName).AddConsoleFormatter<LineFormatter, ConsoleFormatterOptions>();
        return builder;
    }

    /// <summary>The silo, not started yet. Its settings must be without errors.</summary>
    internal static WebApplication Build(WebApplicationBuilder builder)
    {
        builder.Services.AddSiloOptions();
        builder.Services.AddStorage(builder.Configuration);
        builder.Services.AddEc2();
        builder.Services.AddSingleton<NodeMetrics>().AddClusterOfGrains();
        builder.UseOrleans(silo => silo.UseClustering(builder.Configuration));
        builder.Services.AddSingleton<Readiness, SiloReadiness>();
        builder.Services.AddHostedService<KeepAwake>();
        builder.Services.AddHostedService<Standstill>();
        builder.Services.AddPolicies();
        return BuildDoors(builder);
    }

    /// <summary>The edge, not started yet: the same doors before the silos' grains. Its settings must be without errors.</summary>
    internal static WebApplication BuildEdge(WebApplicationBuilder builder)
    {
        builder.Services.AddEdgeOptions();
        builder.UseOrleansClient(client => client.UseSilos(builder.Configuration));
        builder.Services.AddSingleton<Readiness, EdgeReadiness>();
        return BuildDoors(builder);
    }

    private static WebApplication BuildDoors(WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddTransient(_ => new Random()); // One for each grain: it is not for two threads.
        builder.Services.AddNodeApi();
        builder.AddListeners();

        var app = builder.Build();
        app.UseListeners();
        return app;
    }

    private static async Task<int> RunSiloAsync()
    {
        var builder = CreateBuilder();
        if (SiloSettings.Errors(builder.Configuration) is { Count: > 0 } errors)
        {
            throw new CommandException(errors);
        }

        await using var silo = Build(builder);
        silo.Services.GetRequiredService<PeerTls>(); // What is wrong with its files is said before anything begins.
        silo.Services.EnsurePortsFree();
        await silo.Services.GetRequiredService<IStore>().OpenAsync(CancellationToken.None);
        await silo.RunAsync();
        return 0;
    }

    private static async Task<int> RunEdgeAsync()
    {
        var builder = CreateBuilder();
        if (SiloSettings.EdgeErrors(builder.Configuration) is { Count: > 0 } errors)
        {
            throw new CommandException(errors);
        }

        await using var edge = BuildEdge(builder);
        edge.Services.GetRequiredService<PeerTls>();
        edge.Services.EnsurePortsFree(isEdge: true);
        var stopping = edge.Lifetime.ApplicationStopping;
        try
        {
            await edge.RunAsync();
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // It was told to end while it still waited for a silo.
        }

        return 0;
    }

    private static int Fail(IReadOnlyList<string> errors)
    {
        foreach (var error in errors)
        {
            Console.Error.WriteLine($"silo: {error.ReplaceLineEndings(" ")}");
        }

        return 1;
    }
}
