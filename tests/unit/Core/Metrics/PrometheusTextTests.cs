using AwsVpcCni.Core.Metrics;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Metrics;

public sealed class PrometheusTextTests
{
    [Fact]
    public void A_family_has_help_type_and_its_series()
    {
        var text = new PrometheusText("p_");
        text.Family("calls_total", "counter", "Calls.", [(PrometheusText.Label("to", "a"), 3), ($"{PrometheusText.Label("to", "b")},{PrometheusText.Label("code", "0")}", 0.5)]);
        text.Single("up", "gauge", "Whether it is.", 1);

        Assert.Equal("# HELP p_calls_total Calls.\n# TYPE p_calls_total counter\np_calls_total{to=\"a\"} 3\np_calls_total{to=\"b\",code=\"0\"} 0.5\n# HELP p_up Whether it is.\n# TYPE p_up gauge\np_up 1\n", text.ToString());
    }

    [Theory]
    [InlineData("plain", "l=\"plain\"")]
    [InlineData("a\"b\\c\nd", "l=\"a\\\"b\\\\c\\nd\"")]
    public void A_value_cannot_end_its_label(string value, string written) => Assert.Equal(written, PrometheusText.Label("l", value));

    [Theory]
    [InlineData(double.PositiveInfinity, "+Inf")]
    [InlineData(double.NegativeInfinity, "-Inf")]
    [InlineData(double.NaN, "NaN")]
    [InlineData(1234567890123, "1234567890123")]
    [InlineData(0.001, "0.001")]
    public void Numbers_are_as_Prometheus_reads_them(double value, string written) => Assert.Equal(written, PrometheusText.Number(value));
}
