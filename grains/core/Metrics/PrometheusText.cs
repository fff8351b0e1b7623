using System.Globalization;
using System.Text;

namespace AwsVpcCni.Core.Metrics;

/// <summary>Writes metrics in Prometheus' text format 0.0.4, for the executor as for the silo (docs/adr/0015).</summary>
/// <param name="prefix">Before each name, such as <c>aws_vpc_cni_node_</c>.</param>
public sealed class PrometheusText(string prefix)
{
    /// <summary>Of an answer.</summary>
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    private readonly StringBuilder _text = new();

    /// <summary>One label; a quote, a backslash or a line's end in its value is escaped.</summary>
    public static string Label(string name, string value) =>
        $"{name}=\"{value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)}\"";

    /// <summary>Begins a family; its series follow at once.</summary>
    /// <param name="type">counter, gauge or histogram.</param>
    public void Head(string name, string type, string help)
    {
        Line($"# HELP {prefix}{name} {help}");
        Line($"# TYPE {prefix}{name} {type}");
    }

    /// <summary>One series.</summary>
    /// <param name="labels">With commas between them; empty for none.</param>
    public void Series(string name, string labels, double value) =>
        Line($"{prefix}{name}{(labels.Length == 0 ? "" : $"{{{labels}}}")} {Number(value)}");

    /// <summary>A family with its series.</summary>
    public void Family(string name, string type, string help, IEnumerable<(string Labels, double Value)> series)
    {
        Head(name, type, help);
        foreach (var (labels, value) in series)
        {
            Series(name, labels, value);
        }
    }

    /// <summary>A family of one series without labels.</summary>
    public void Single(string name, string type, string help, double value) => Family(name, type, help, [("", value)]);

    /// <summary>A number as Prometheus reads it.</summary>
    public static string Number(double value) => double.IsPositiveInfinity(value) ? "+Inf" : double.IsNegativeInfinity(value) ? "-Inf" : value.ToString(CultureInfo.InvariantCulture);

    /// <summary>All that was written.</summary>
    public override string ToString() => _text.ToString();

    private void Line(string line) => _text.Append(line).Append('\n');
}
