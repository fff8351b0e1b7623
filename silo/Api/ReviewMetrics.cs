using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace AwsVpcCni.Silo.Api;

/// <summary>How often somebody was not let in at the operators' door, by the answer. A series each from the start: else a rate misses its first count.</summary>
internal sealed class ReviewMetrics : IDisposable
{
    private readonly Meter _meter;
    private readonly ConcurrentDictionary<int, long> _refused = new(new[]
    {
        StatusCodes.Status401Unauthorized, StatusCodes.Status403Forbidden, StatusCodes.Status429TooManyRequests, StatusCodes.Status503ServiceUnavailable,
    }.Select(status => KeyValuePair.Create(status, 0L)));

    /// <summary>Its scope is this instance.</summary>
    public ReviewMetrics()
    {
        _meter = new Meter(new MeterOptions("AwsVpcCni.Reviews") { Scope = this });
        _meter.CreateObservableCounter(
            "aws_vpc_cni.refused_requests", () => _refused.Select(one => new Measurement<long>(one.Value, new KeyValuePair<string, object?>("answer", one.Key))),
            "{request}", "Requests on the health port that were not let in, by the answer: 401 no or a bad token, 403 no right, 429 too many, 503 the API server did not say who it is.");
    }

    /// <summary>One more.</summary>
    public void Refused(int status) => _refused.AddOrUpdate(status, 1, (_, count) => count + 1);

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();
}
