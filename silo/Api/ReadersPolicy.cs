using System.Globalization;
using System.Threading.RateLimiting;
using AwsVpcCni.Silo.NodeApi;
using AwsVpcCni.Silo.Options;
using Microsoft.AspNetCore.RateLimiting;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Api;

/// <summary>How many of the operators' questions are answered at once, and in a second; some more wait for a moment, and the rest is told to come back.</summary>
/// <remarks>A refusal is held for a moment: whoever asks again at once, whatever he is told, would else take the processor from pods (`make bench-readers`:
/// the median of an ADD beside 200 of them was 123 ms without this).</remarks>
internal sealed class ReadersPolicy(IOptions<HttpOptions> options) : IRateLimiterPolicy<string>
{
    /// <summary>Of the policy.</summary>
    public const string Name = "readers";

    /// <summary>Those who wait, for each that is answered: readers whose clocks strike together.</summary>
    public const int WaitingForEach = 4;

    /// <summary>Answers in a second, for each at once.</summary>
    public const int SecondlyForEach = 50;

    private static readonly TimeSpan RefusedAfter = TimeSpan.FromMilliseconds(250);

    /// <summary>Before a refusal; in real time, as the limits beside it have.</summary>
    public static async Task HoldAsync(HttpContext http) => await Task.Delay(RefusedAfter, TimeProvider.System, http.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    /// <inheritdoc/>
    public Func<OnRejectedContext, CancellationToken, ValueTask> OnRejected { get; } = async (context, _) =>
    {
        var http = context.HttpContext;
        await HoldAsync(http);
        http.Response.Headers.RetryAfter = 1.ToString(CultureInfo.InvariantCulture);
        await Problems.WriteAsync(http, StatusCodes.Status429TooManyRequests, "too many readers",
            "More questions are under way than Http:Readers allows, and pods' addresses come first. Ask again in a second, and once a second at most: nothing changes faster here.");
    };

    /// <summary>A limit for all routes of the same places, of the same size each.</summary>
    public RateLimitPartition<string> GetPartition(HttpContext httpContext) => RateLimitPartition.Get(PlacesOf(httpContext), _ => RateLimiter.CreateChained(
        new ConcurrencyLimiter(new ConcurrencyLimiterOptions
        {
            PermitLimit = options.Value.Readers, QueueLimit = options.Value.Readers * WaitingForEach, QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
        }),
        new TokenBucketRateLimiter(new TokenBucketRateLimiterOptions
        {
            TokensPerPeriod = options.Value.Readers * SecondlyForEach / 10, ReplenishmentPeriod = TimeSpan.FromMilliseconds(100), TokenLimit = options.Value.Readers * SecondlyForEach,
        })));

    private static string PlacesOf(HttpContext http) => http.GetEndpoint()?.Metadata.GetMetadata<Places>() is not { } places ? Name
        : places.OffLoopback is { } others && !LocalDoor.IsOnLoopback(http) ? others
        : places.Of;

    /// <summary>Of a route whose places readers of the others do not take.</summary>
    /// <param name="OffLoopback">The places of those who do not come in on loopback; null: the same. The limit is before the refusal, so these would take the places of those who are answered.</param>
    internal sealed record Places(string Of, string? OffLoopback = null);
}
