using System.Globalization;
using System.Threading.RateLimiting;
using AwsVpcCni.Silo.Kubernetes;
using AwsVpcCni.Silo.Options;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.RateLimiting;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Tokens;

namespace AwsVpcCni.Silo.NodeApi;

/// <summary>The executors' door: who may come in, how often, and the four routes behind it.</summary>
internal static class NodeApiSetup
{
    private const string PerNode = "per-node";

    /// <summary>The door's parts.</summary>
    public static IServiceCollection AddNodeApi(this IServiceCollection services)
    {
        services.AddSingleton<NodeApiMetrics>().AddSingleton<NodeCalls>().AddSingleton<ConnectionPlaces>().AddSingleton<RefusalTurns>().AddSingleton<HintStreams>().AddKubernetes();
        // Not AddAuthentication: it also starts data protection, which writes keys to the home folder and serves cookies only.
        services.AddAuthenticationCore(authentication => authentication.DefaultScheme = JwtBearerDefaults.AuthenticationScheme).AddWebEncoders();
        services.AddSingleton<IAuthenticationConfigurationProvider, NoAuthenticationSection>();
        new AuthenticationBuilder(services).AddJwtBearer(bearer =>
        {
            bearer.MapInboundClaims = false;
            bearer.Events = new JwtBearerEvents { OnChallenge = RefuseUnknownAsync, OnForbidden = RefuseUnnamedAsync };
        });
        services.AddOptions<JwtBearerOptions>(JwtBearerDefaults.AuthenticationScheme)
            .Configure<IOptions<NodeApiOptions>, ExecutorTokens, TimeProvider>((bearer, door, executors, time) =>
            {
                bearer.TokenValidationParameters = string.IsNullOrEmpty(door.Value.TokenKeyPath) ? new() : NodeTokens.Rules(door.Value);
                bearer.TokenHandlers.Clear();
                bearer.TokenHandlers.Add(new CallersTokens(door.Value, new KnownTokens(time), executors));
            });
        services.AddAuthorizationBuilder().SetFallbackPolicy(null).AddPolicy(PerNode, policy =>
            policy.RequireAuthenticatedUser().RequireAssertion(context => NodeTokens.InstanceId(context.User) is not null));
        services.AddRateLimiter(limiter => limiter.OnRejected = RefuseHurriedAsync);
        services.AddOptions<RateLimiterOptions>().Configure<IOptions<NodeApiOptions>>((limiter, door) =>
        {
            limiter.AddPolicy(PerNode, http => RateLimitPartition.GetTokenBucketLimiter(NodeTokens.InstanceId(http.User), _ => Bucket(door.Value)));
            limiter.GlobalLimiter = PartitionedRateLimiter.Create<HttpContext, (string, int)>(http => http.GetEndpoint()?.Metadata.GetMetadata<Bodies>() is { AtOnce: var most } && NodeTokens.InstanceId(http.User) is { } instance
                ? RateLimitPartition.GetConcurrencyLimiter((instance, most), _ => new ConcurrencyLimiterOptions { PermitLimit = most })
                : RateLimitPartition.GetNoLimiter(("", 0)));
        });
        return services;
    }

    /// <summary>The door's pipeline. Only requests of its own listener may be led here.</summary>
    public static void UseNodeApi(this IApplicationBuilder app)
    {
        app.UseRouting();
        app.UseAuthentication();
        app.UseAuthorization();
        app.UseRateLimiter(); // After the token is checked: it counts per node, and nobody can spend another's share.
        app.UseEndpoints(routes =>
        {
            var door = routes.MapGroup("/node/v1").RequireAuthorization(PerNode).RequireRateLimiting(PerNode);
            AssignEndpoint.Map(door);
            ReleaseEndpoint.Map(door);
            SyncEndpoint.Map(door);
            HintsEndpoint.Map(door);
            routes.MapFallback("{*path}", http => TurnsOf(http).RefuseAsync(http, NodeApiRefusal.NoSuchCall, StatusCodes.Status404NotFound, "no such call",
                $"{http.Request.Method} {http.Request.Path} is no call of the node API. It has POST /node/v1/assign, /release, /sync and GET /node/v1/hints."));
        });
    }

    private static TokenBucketRateLimiterOptions Bucket(NodeApiOptions door) => new()
    {
        TokensPerPeriod = Math.Max(1, door.CallsPerSecond / 10),
        ReplenishmentPeriod = TimeSpan.FromMilliseconds(door.CallsPerSecond < 10 ? 1000.0 / door.CallsPerSecond : 100),
        TokenLimit = 2 * door.CallsPerSecond,
    };

    private static Task RefuseUnknownAsync(JwtBearerChallengeContext context)
    {
        context.HandleResponse();
        if (context.AuthenticateFailure is NotKnownYetException notYet)
        {
            return TurnsOf(context.HttpContext).RefuseAsync(context.HttpContext, NodeApiRefusal.NotKnownYet, StatusCodes.Status503ServiceUnavailable, "who is calling cannot be told yet", notYet.Message);
        }

        context.Response.Headers.WWWAuthenticate = JwtBearerDefaults.AuthenticationScheme;
        var what = context.AuthenticateFailure is { } failure
            ? $"The bearer token is not accepted: {failure.Message}{(failure is SecurityTokenNotYetValidException ? " Or this silo's clock is behind: `silo ipam doctor` compares it with AWS's." : failure is SecurityTokenExpiredException ? " Or this silo's clock is ahead: `silo ipam doctor` compares it with AWS's." : "")}"
            : "The request carries no bearer token.";
        var reason = context.AuthenticateFailure switch
        {
            null => NodeApiRefusal.NoToken,
            SecurityTokenExpiredException => NodeApiRefusal.ExpiredToken,
            _ => NodeApiRefusal.BadToken,
        };
        return TurnsOf(context.HttpContext).RefuseAsync(context.HttpContext, reason, StatusCodes.Status401Unauthorized, "who is calling is not known",
            $"{what} Send the node's own token: with Kubernetes:Enabled the executor's projected service-account token, else what `silo ipam token --key FILE --instance i-...` issues, with the private key whose public part the silo has (NodeApi:TokenKeyPath).");
    }

    private static Task RefuseUnnamedAsync(ForbiddenContext context) => TurnsOf(context.HttpContext).RefuseAsync(context.HttpContext, NodeApiRefusal.NoNode, StatusCodes.Status403Forbidden, "the token names no node",
        $"The token is genuine, but its claim {NodeTokens.InstanceClaim} is not one instance id such as i-0123456789abcdef0. Issue it with `silo ipam token --instance`.");

    private static ValueTask RefuseHurriedAsync(OnRejectedContext context, CancellationToken cancellation)
    {
        context.HttpContext.Response.Headers.RetryAfter = 1.ToString(CultureInfo.InvariantCulture);
        return new(TurnsOf(context.HttpContext).RefuseAsync(context.HttpContext, NodeApiRefusal.TooMany, StatusCodes.Status429TooManyRequests, "too many calls",
            $"This node calls more often than NodeApi:CallsPerSecond allows, or {Bodies.SyncsAtOnce} syncs or {Bodies.OfOtherCalls.AtOnce} other calls of it are under way. Try again in a second."));
    }

    private static RefusalTurns TurnsOf(HttpContext http) => http.RequestServices.GetRequiredService<RefusalTurns>();

    /// <summary>All rules are in NodeApi's options; the scheme looks for a section of its own all the same.</summary>
    private sealed class NoAuthenticationSection : IAuthenticationConfigurationProvider
    {
        public IConfiguration AuthenticationConfiguration { get; } = new ConfigurationBuilder().Build();
    }
}
