using System.Globalization;
using System.Net;
using AwsVpcCni.Silo.Kubernetes;
using AwsVpcCni.Silo.NodeApi;
using AwsVpcCni.Silo.Options;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Api;

/// <summary>Before all that operators ask and change on the health port: a bearer token that the API server knows, and a right to the path. On loopback, too, since all in the host network of a machine share it.</summary>
/// <remarks>Closed unless said otherwise: only a route that allows the anonymous is open, such as health.</remarks>
internal static class Reviews
{
    /// <summary>Of the paths as rules name them. Each account of a cluster may <c>get /api/*</c> (ClusterRole system:discovery), so a path of ours as it is would be open to all (docs/adr/0019).</summary>
    public const string Prefix = "/aws-vpc-cni";

    private const string Bearer = "Bearer";

    /// <summary>Its parts.</summary>
    public static IServiceCollection AddReviews(this IServiceCollection services) => services.AddSingleton<AccessReviews>().AddSingleton<ReviewMetrics>();

    /// <summary>Its place in the pipeline: behind the routing, before limits and routes, so that who has no right takes no reader's place.</summary>
    public static void UseReviews(this WebApplication app)
    {
        var isAsked = app.Services.GetRequiredService<IOptions<HttpOptions>>().Value.Reviews ?? app.Services.GetRequiredService<IOptions<KubernetesOptions>>().Value.Enabled;
        if (!isAsked)
        {
            return;
        }

        var (reviews, metrics) = (app.Services.GetRequiredService<AccessReviews>(), app.Services.GetRequiredService<ReviewMetrics>());
        app.Use(toRoute => http => http.GetEndpoint()?.Metadata.GetMetadata<IAllowAnonymous>() is not null ? toRoute(http) : ReviewAsync(http, toRoute, reviews, metrics));
    }

    /// <summary>The path that a right is asked for: ours behind <see cref="Prefix"/>; that of metrics as Prometheus may read it everywhere.</summary>
    public static string PathOf(HttpRequest request) => request.Path.Value is "/metrics" ? "/metrics" : Prefix + request.Path.Value;

    /// <summary>As kube-apiserver names them for what is no resource; HEAD is a GET without the body.</summary>
    public static string VerbOf(HttpRequest request) => HttpMethods.IsHead(request.Method) ? "get" : request.Method.ToLowerInvariant();

    private static async Task ReviewAsync(HttpContext http, RequestDelegate toRoute, AccessReviews reviews, ReviewMetrics metrics)
    {
        var (verb, path) = (VerbOf(http.Request), PathOf(http.Request));
        Access? answer = null;
        try
        {
            answer = TokenOf(http.Request) is { } token ? await reviews.AskAsync(token, verb, path, http.Connection.RemoteIpAddress ?? IPAddress.None, http.RequestAborted) : null;
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            return; // Nobody waits for it any more.
        }

        if (answer is Access.Granted)
        {
            await toRoute(http);
            return;
        }

        var (status, title, detail) = answer switch
        {
            null => (StatusCodes.Status401Unauthorized, "who is asking is not known", $"Send Authorization: Bearer TOKEN, with a token of the cluster, such as `kubectl create token ACCOUNT` gives. {HowToAllow(verb, path)}"),
            Access.Unknown(var why) => (StatusCodes.Status401Unauthorized, "who is asking is not known", $"The API server does not take the bearer token: {why}. Get a new one (`kubectl create token ACCOUNT`, with --audience if the silo has Http:Audience)."),
            Access.Denied(var user) => (StatusCodes.Status403Forbidden, "no right to this", $"{user} may not {verb} {path}. {HowToAllow(verb, path)}"),
            Access.Busy => (StatusCodes.Status429TooManyRequests, "too many questions", "More callers are being looked up than the API server is asked about at once. Ask again in a second."),
            Access.Away => (StatusCodes.Status503ServiceUnavailable, "who is asking cannot be told", "The API server must say it, and it does not answer this silo as it should (its log, event 3521, has why). Nothing was read or changed. Ask again; `ipam` on the silo's machine needs no API server."),
            _ => throw new InvalidOperationException($"{answer} is no answer."),
        };
        metrics.Refused(status);
        if (status == StatusCodes.Status401Unauthorized)
        {
            http.Response.Headers.WWWAuthenticate = answer is null ? Bearer : $"{Bearer} error=\"invalid_token\""; // RFC 6750, section 3.
        }
        else if (status != StatusCodes.Status403Forbidden)
        {
            http.Response.Headers.RetryAfter = 1.ToString(CultureInfo.InvariantCulture);
        }

        await ReadersPolicy.HoldAsync(http);
        await Problems.WriteAsync(http, status, title, detail);
    }

    private static string HowToAllow(string verb, string path) => $"A ClusterRole with the rule nonResourceURLs: [{path}], verbs: [{verb}], bound to the account, allows it; the chart's ClusterRole ...-reader allows all that is only read.";

    private static string? TokenOf(HttpRequest request) =>
        request.Headers.Authorization.ToString().Split(' ', StringSplitOptions.RemoveEmptyEntries) is [var scheme, var token] && scheme.Equals(Bearer, StringComparison.OrdinalIgnoreCase) ? token : null;
}
