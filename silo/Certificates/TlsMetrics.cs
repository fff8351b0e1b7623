using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace AwsVpcCni.Silo.Certificates;

/// <summary>What TLS tells for graphs and alarms.</summary>
internal sealed class TlsMetrics : IDisposable
{
    private readonly Meter _meter;
    private readonly Counter<long> _refused;
    private readonly ConcurrentDictionary<string, Func<DateTime>> _ends = new();

    /// <summary>Its scope is this instance.</summary>
    public TlsMetrics()
    {
        _meter = new Meter(new MeterOptions("AwsVpcCni.Tls") { Scope = this });
        _refused = _meter.CreateCounter<long>("aws_vpc_cni.refused_connections", "{connection}", "Connections of Orleans that were ended in their TLS handshake, by port; outgoing: whom this process has called is no silo of the cluster.");
        _meter.CreateObservableGauge(
            "aws_vpc_cni.certificate_end_timestamp_seconds", () => _ends.Select(one => new Measurement<double>(
                new DateTimeOffset(one.Value().ToUniversalTime()).ToUnixTimeSeconds(), new KeyValuePair<string, object?>("certificate", one.Key))),
            "s", "Until when a certificate of this process is valid, in seconds since 1970.");
    }

    /// <summary>A certificate in use.</summary>
    public void Follow(string name, Func<DateTime> end) => _ends[name] = end;

    /// <summary>One more.</summary>
    public void Refused(string port) => _refused.Add(1, new KeyValuePair<string, object?>("port", port));

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();
}
