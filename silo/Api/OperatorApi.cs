using System.Globalization;
using AwsVpcCni.Grains;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.NodeApi;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Views;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Api;

/// <summary><c>/api/v1</c>: what operators and their programs read of the cluster, on the health port. Every refusal is a problem document (RFC 9457).</summary>
/// <remarks>So many readers at once as <see cref="HttpOptions.Readers"/> says, each with a deadline; the others get 429: nodes' calls come first.</remarks>
internal static partial class OperatorApi
{
    /// <summary>Of all its paths.</summary>
    public const string Prefix = "/api";

    private static readonly TimeSpan CallDeadline = TimeSpan.FromSeconds(5);
    private static readonly string[] Reading = [HttpMethods.Get, HttpMethods.Head];

    /// <summary>Its parts.</summary>
    public static IServiceCollection AddOperatorApi(this IServiceCollection services)
    {
        services.AddRateLimiter(limiter => limiter.AddPolicy<string, ReadersPolicy>(ReadersPolicy.Name));
        services.AddSingleton(parts => new ClusterViews(
            parts.GetRequiredService<IGrainFactory>(), Settings(parts).ClusterName, Settings(parts).VpcId, parts.GetRequiredService<IOptions<Ec2Options>>().Value.Region is null ? null : Settings(parts).QuotaKey));
        services.AddRecent(views => views.SubnetsAsync());
        services.AddRecent<WaitingPod[]>(views => views.WaitingAsync());
        services.AddRecent(views => views.NodeIdsAsync()); // Recent<string[]> is of these.
        services.AddSingleton<RecentNodes>();
        services.AddSingleton(parts =>
        {
            var (grains, settings, time, follower) = (parts.GetRequiredService<IGrainFactory>(), Settings(parts), parts.GetRequiredService<TimeProvider>(), parts.GetService<PolicyFollower>());
            return new Recent<ClusterPolicies>(
                () => follower?.ReadAsync(LocalDoor.CallDeadline, CancellationToken.None) ?? grains.GetGrain<IClusterGrain>(settings.ClusterName).ReadAsync().WaitAsync(LocalDoor.CallDeadline, time), time);
        });
        return services;

        static ClusterSettings Settings(IServiceProvider parts) => parts.GetRequiredService<ClusterSettings>();
    }

    /// <summary>Its place in the pipeline, behind the routing.</summary>
    public static void UseOperatorApi(this WebApplication app)
    {
        app.Use(ExplainAsync);
        app.UseRateLimiter();
        var api = app.MapGroup($"{Prefix}/v1").RequireRateLimiting(ReadersPolicy.Name).AddEndpointFilter(GuardAsync);
        api.MapSubnets();
        api.MapNodes();
        api.MapAddresses();
        api.MapPods();
        api.MapQuota();
    }

    /// <summary>A route that changes nothing.</summary>
    public static void MapRead(this RouteGroupBuilder api, string path, Delegate read) => api.MapMethods(path, Reading, read);

    /// <summary>There is no such thing.</summary>
    public static IResult NotFound(string title, string detail) => Problem(StatusCodes.Status404NotFound, title, detail);

    private static IResult Problem(int status, string title, string detail) => Results.Problem(detail, statusCode: status, title: title);

    private static void AddRecent<T>(this IServiceCollection services, Func<ClusterViews, Task<T>> read) => services.AddSingleton(parts =>
    {
        var (views, time) = (parts.GetRequiredService<ClusterViews>(), parts.GetRequiredService<TimeProvider>());
        return new Recent<T>(() => read(views).WaitAsync(CallDeadline, time), time);
    });

    /// <summary>Routing says 404 and 405 without a word, on all of the port.</summary>
    private static async Task ExplainAsync(HttpContext http, RequestDelegate next)
    {
        await next(http);
        if (http.Response is { HasStarted: false, ContentType: null, StatusCode: StatusCodes.Status404NotFound or StatusCodes.Status405MethodNotAllowed })
        {
            var isOurs = http.Request.Path.StartsWithSegments(Prefix);
            await (http.Response.StatusCode == StatusCodes.Status405MethodNotAllowed
                ? Problems.WriteAsync(http, StatusCodes.Status405MethodNotAllowed, isOurs ? "read only" : "not by this method",
                    $"{http.Request.Method} is not for {http.Request.Path}: {(isOurs ? "what is here is only read, by GET. The policy is changed at /v1/policy." : $"it takes {http.Response.Headers.Allow}.")}")
                : Problems.WriteAsync(http, StatusCodes.Status404NotFound, "no such path", $"{http.Request.Path} is nothing here. There is {(isOurs
                    ? "/api/v1/subnets, /subnets/ID, /nodes, /nodes/ID, /addresses/IP, /pods?waiting and /quota."
                    : "/v1/policy, /v1/nodes/ID/policy, /v1/switches, /v1/switches/TARGET, /v1/waiting, /v1/nodes/ID/waiting, /api/v1/subnets and others there, /metrics, /healthz and /readyz.")}"));
        }
    }

    /// <summary>The border: each answer in limited time, each failure as a problem.</summary>
    private static async ValueTask<object?> GuardAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var http = context.HttpContext;
        try
        {
            return await next(context).AsTask().WaitAsync(CallDeadline, http.RequestServices.GetRequiredService<TimeProvider>(), http.RequestAborted);
        }
        catch (BadQuestionException e)
        {
            return Problem(StatusCodes.Status400BadRequest, "this cannot be asked", e.Message);
        }
        catch (Exception e) when (e is TimeoutException or StoreException or OrleansException)
        {
            http.Response.Headers.RetryAfter = 1.ToString(CultureInfo.InvariantCulture);
            return Problem(StatusCodes.Status503ServiceUnavailable, "not now", $"{e.Message} Nothing is changed by asking; ask again.");
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            return Results.Empty; // Nobody waits for it any more.
        }
        catch (Exception e)
        {
            LogFailed(http.RequestServices.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(OperatorApi)), http.Request.Path, e);
            return Problem(StatusCodes.Status500InternalServerError, "a fault of ours", "The silo's log has it, event 3151. Other questions may be answered.");
        }
    }

    [LoggerMessage(EventId = 3151, Level = LogLevel.Error, Message = "No answer to {Path}.")]
    private static partial void LogFailed(ILogger logger, PathString path, Exception exception);
}
