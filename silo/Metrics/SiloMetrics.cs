using System.Collections.Immutable;
using AwsVpcCni.Core.Metrics;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Silo.Api;
using AwsVpcCni.Silo.Certificates;
using AwsVpcCni.Silo.NodeApi;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Storage.DynamoDb;
using AwsVpcCni.Silo.Storage.Sqlite;
using AwsVpcCni.Silo.Views;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Metrics;

/// <summary><c>/metrics</c> for Prometheus, on the health port: this process, its meters, and the cluster's subnets and EC2 budget.</summary>
internal static class SiloMetrics
{
    private const string Prefix = "aws_vpc_cni_";
    private static readonly TimeSpan CallDeadline = TimeSpan.FromSeconds(4); // Below the 10 s that Prometheus waits.

    /// <summary>Its parts.</summary>
    public static IServiceCollection AddMetricsText(this IServiceCollection services)
    {
        services.AddSingleton(parts => new MeterReadings([.. new object?[] { parts.GetService<NodeMetrics>(), parts.GetService<StoreMetrics>(), parts.GetService<SqliteMetrics>(), parts.GetService<TlsMetrics>(), parts.GetService<ReviewMetrics>(), parts.GetService<NodeApiMetrics>() }.OfType<object>()]));
        services.AddSingleton(parts =>
        {
            var time = parts.GetRequiredService<TimeProvider>();
            return new Recent<string>(() => TextAsync(parts.GetRequiredService<MeterReadings>(), parts.GetRequiredService<ClusterViews>(), parts.GetRequiredService<Recent<SubnetSummary[]>>(), time), time);
        });
        return services;
    }

    /// <summary>Adds it, and begins to count. However many ask, it is written once a second.</summary>
    public static void MapMetrics(this WebApplication app)
    {
        app.Services.GetRequiredService<MeterReadings>();
        var metrics = app.MapMethods("/metrics", [HttpMethods.Get, HttpMethods.Head], async (Recent<string> text) => Results.Text(await text.ReadAsync(), PrometheusText.ContentType))
            .RequireRateLimiting(ReadersPolicy.Name).WithMetadata(new ReadersPolicy.Places("scrapers")); // Readers must not keep alarms from ringing.
        if (app.Services.GetRequiredService<IOptions<HttpOptions>>().Value.MetricsAreOpen)
        {
            metrics.AllowAnonymous();
        }
    }

    /// <summary>All of it. Pure, but for this process's own figures.</summary>
    /// <param name="subnets">Null when their grains do not answer; so the others.</param>
    /// <param name="budget">Null, too, where the account's region is not known.</param>
    internal static string Of(MeterReadings meters, SubnetSummary[]? subnets, int? nodes, ActionBudget[]? budget, ImmutableArray<OperatorSwitch>? switches, DateTimeOffset now)
    {
        var text = new PrometheusText(Prefix);
        meters.WriteTo(text, Prefix);
        if (subnets is not null)
        {
            ClusterMetrics.Write(text, subnets, now);
        }

        if (budget is not null)
        {
            ClusterMetrics.Write(text, budget);
        }

        if (switches is { } off)
        {
            ClusterMetrics.Write(text, off, now);
        }

        if (nodes is not null)
        {
            text.Single("nodes", "gauge", "Nodes that have joined and are not retired.", nodes.Value);
        }

        text.Single("grains_answer", "gauge", "0: subnets or nodes could not be read from their grains just now, so their figures are missing.", subnets is null || nodes is null ? 0 : 1);
        return text + Process();
    }

    private static async Task<string> TextAsync(MeterReadings meters, ClusterViews views, Recent<SubnetSummary[]> recent, TimeProvider time)
    {
        var (subnets, nodes, budget, policies) = (TryAsync(recent.ReadAsync), TryAsync(views.NodeIdsAsync), TryAsync(() => views.QuotaAsync()), TryAsync(views.PoliciesAsync));
        return Of(meters, await subnets, (await nodes)?.Length, await budget, (await policies)?.Switches, time.GetUtcNow());

        async Task<T?> TryAsync<T>(Func<Task<T>> read)
            where T : class?
        {
            try
            {
                return await read().WaitAsync(CallDeadline, time);
            }
            catch (Exception e) when (e is TimeoutException or StoreException or OrleansException)
            {
                return null; // What else is there is told all the same.
            }
        }
    }

    /// <summary>Under the names that all exporters have for them.</summary>
    private static string Process()
    {
        var text = new PrometheusText("process_");
        using var self = System.Diagnostics.Process.GetCurrentProcess();
        text.Single("resident_memory_bytes", "gauge", "Resident memory.", self.WorkingSet64);
        text.Single("cpu_seconds_total", "counter", "User and system time.", self.TotalProcessorTime.TotalSeconds);
        text.Single("start_time_seconds", "gauge", "When the process began, in seconds since 1970.", new DateTimeOffset(self.StartTime.ToUniversalTime()).ToUnixTimeMilliseconds() / 1000.0);
        return text.ToString();
    }
}
