using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Metrics;

/// <summary>The chart's alerts and dashboards, by Prometheus' own tool.</summary>
public sealed partial class AlertsTests
{
    private static readonly string Chart = Path.Combine(Repository.Root, "charts", "aws-vpc-cni-distributed");
    private static readonly string Alerts = Path.Combine(Chart, "alerts.yaml");
    private static readonly string Tests = Path.Combine(Repository.Root, "tests", "cluster", "Metrics", "alerts.test.yaml");

    [Fact]
    public async Task Each_alert_rings_as_its_test_says_and_is_silent_otherwise()
    {
        var folder = Directory.CreateTempSubdirectory("avc-alerts-");
        try
        {
            File.Copy(Alerts, Path.Combine(folder.FullName, "alerts.yaml"));
            File.Copy(Tests, Path.Combine(folder.FullName, "alerts.test.yaml"));
            await Promtool.RunAsync("", folder.FullName, "check", "rules", "alerts.yaml");
            await Promtool.RunAsync("", folder.FullName, "test", "rules", "alerts.test.yaml");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void No_alert_is_without_a_test_that_it_rings_and_one_that_it_is_silent()
    {
        var tests = File.ReadAllText(Tests);
        var names = AlertName().Matches(File.ReadAllText(Alerts)).Select(match => match.Groups[1].Value).ToArray();
        Assert.NotEmpty(names);
        Assert.All(names, name =>
        {
            Assert.Contains($"alertname: {name}\n        exp_alerts:\n          - ", tests, StringComparison.Ordinal);
            Assert.Contains($"alertname: {name}\n        exp_alerts: []\n", tests, StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task Each_expression_of_a_dashboard_is_PromQL()
    {
        var rules = new StringBuilder("groups:\n- name: panels\n  rules:\n");
        var count = 0;
        foreach (var path in Directory.EnumerateFiles(Path.Combine(Chart, "dashboards"), "*.json"))
        {
            using var dashboard = JsonDocument.Parse(await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken));
            foreach (var target in dashboard.RootElement.GetProperty("panels").EnumerateArray().Where(panel => panel.TryGetProperty("targets", out _)).SelectMany(panel => panel.GetProperty("targets").EnumerateArray()))
            {
                // As Grafana puts its variables in. A JSON text is a YAML text.
                var expression = target.GetProperty("expr").GetString()!.Replace("$__rate_interval", "5m", StringComparison.Ordinal).Replace("$subnet", ".*", StringComparison.Ordinal);
                rules.Append(CultureInfo.InvariantCulture, $"  - record: panel:{count++}\n    expr: {JsonSerializer.Serialize(expression)}\n");
            }
        }

        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, rules.ToString(), TestContext.Current.CancellationToken);
            Assert.Contains($"{count} rules found", await Promtool.RunAsync("", ".", "check", "rules", file), StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [GeneratedRegex(@"- alert: (\w+)")]
    private static partial Regex AlertName();
}
