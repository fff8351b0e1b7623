using System.Diagnostics.Metrics;
using AwsVpcCni.Core.Metrics;
using AwsVpcCni.Silo.Metrics;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Silo.Metrics;

public sealed class MeterReadingsTests : IDisposable
{
    private readonly object _silo = new();
    private readonly Meter _meter;
    private readonly MeterReadings _readings;

    public MeterReadingsTests()
    {
        _meter = Meter(_silo);
        _readings = new MeterReadings([_silo]);
    }

    [Fact]
    public void Counters_add_up_by_their_tags_and_others_show_what_is_now()
    {
        var now = 7;
        var sends = _meter.CreateCounter<long>("aws_vpc_cni.sends", null, "Sends.");
        _meter.CreateObservableUpDownCounter("aws_vpc_cni.waiting", () => now is 7 ? new Measurement<int>(now, new KeyValuePair<string, object?>("reason", "A")) : new(now, new KeyValuePair<string, object?>("reason", "B")), null, "Waiting.");
        sends.Add(2, new KeyValuePair<string, object?>("to", "x"));
        sends.Add(3, new KeyValuePair<string, object?>("to", "x"));
        sends.Add(1, new KeyValuePair<string, object?>("to", "y"));
        Assert.Equal(
            "# HELP p_sends_total Sends.\n# TYPE p_sends_total counter\np_sends_total{to=\"x\"} 5\np_sends_total{to=\"y\"} 1\n# HELP p_waiting Waiting.\n# TYPE p_waiting gauge\np_waiting{reason=\"A\"} 7\n", Text());

        now = 0; // What is not observed any more is gone.
        Assert.EndsWith("p_waiting{reason=\"B\"} 0\n", Text(), StringComparison.Ordinal);
        Assert.DoesNotContain("reason=\"A\"", Text(), StringComparison.Ordinal);
    }

    [Fact]
    public void Another_silos_meters_of_the_same_name_are_not_ours()
    {
        using var other = Meter(new object());
        other.CreateCounter<long>("aws_vpc_cni.sends").Add(5);
        Assert.Equal("", Text());
    }

    [Fact]
    public void Tags_without_end_do_not_take_memory_without_end()
    {
        var sends = _meter.CreateCounter<long>("aws_vpc_cni.sends");
        for (var pod = 0; pod < 5000; pod++)
        {
            sends.Add(1, new KeyValuePair<string, object?>("pod", pod));
        }

        sends.Add(41, new KeyValuePair<string, object?>("pod", 0)); // Those that are there go on.
        Assert.Equal(1000, Text().Split('\n').Count(line => line.StartsWith("p_sends", StringComparison.Ordinal)));
        Assert.Contains("p_sends_total{pod=\"0\"} 42\n", Text(), StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _readings.Dispose();
        _meter.Dispose();
    }

    private static Meter Meter(object scope) => new(new MeterOptions("a.meter") { Scope = scope });

    private string Text()
    {
        var text = new PrometheusText("p_");
        _readings.WriteTo(text, "aws_vpc_cni_");
        return text.ToString();
    }
}
