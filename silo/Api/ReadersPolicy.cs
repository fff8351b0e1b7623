using System.Globalization;
using System.Threading.RateLimiting;
using AwsVpcCni.Silo.NodeApi;
using AwsVpcCni.Silo.Options;
using Microsoft.AspNetCore.RateLimiting;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Api;

/// <summary>How many of the operators' questions are answered at once; some more wait for a moment, and the rest is told to come back.</summary>
internal sealed class ReadersPolicy(IOptions<HttpOptions> options) : IRateLimiterPolicy<string>
{
    /// <summary>Of the policy.</summary>
    public const string Name = "readers";

    /// <summary>Those who wait, for each that is answered: readers whose clocks strike together.</summary>
    public const int WaitingForEach = 4;

    /// <inheritdoc/>
    public Func<OnRejectedContext, CancellationToken, ValueTask> OnRejected { get; } = (context, _) =>
    {
        context.HttpContext.Response.Headers.RetryAfter = 1.ToString(CultureInfo.InvariantCulture);
        return new(Problems.WriteAsync(context.HttpContext, StatusCodes.Status429TooManyRequests, "too many readers",
            "More questions are under way than Http:Readers allows, and pods' addresses come first. Ask again in a second, and once a second at most: nothing changes faster here."));
    };

    /// <inheritdoc/>
    public RateLimitPartition<string> GetPartition(HttpContext httpContext) => RateLimitPartition.GetConcurrencyLimiter(Name, _ => new ConcurrencyLimiterOptions
    {
        PermitLimit = options.Value.Readers, QueueLimit = options.Value.Readers * WaitingForEach, QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
    });
}
