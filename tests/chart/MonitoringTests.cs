using System.Text.Json.Nodes;
using Xunit;

namespace AwsVpcCni.Tests.Chart;

/// <summary>Alerts and dashboard reach the cluster as they are in the chart's folder; no stored rendering repeats them.</summary>
public sealed class MonitoringTests
{
    private const string Chart = "charts/aws-vpc-cni-distributed";

    public static TheoryData<string> Majors => [.. Helm.Majors];

    [Theory]
    [MemberData(nameof(Majors))]
    public async Task The_rule_has_the_alerts_and_the_config_map_the_dashboard(string major)
    {
        var (exitCode, said) = await Helm.RunOrSkipAsync(major, "template", "cni", Chart, "--values", Repository.Values("sqlite"),
            "--set", "monitoring.rules=true,monitoring.dashboard=true", "--show-only", "templates/monitoring.yaml");
        Assert.True(exitCode == 0, said);
        var manifests = Manifests.Read(said).ToDictionary(manifest => manifest["kind"]!.ToString());
        Assert.Equal(["ConfigMap", "PrometheusRule"], manifests.Keys.Order(StringComparer.Ordinal));

        var alerts = Assert.Single(Manifests.Read(File("alerts.yaml")));
        Assert.NotEmpty(alerts["groups"]!.AsArray());
        Assert.True(JsonNode.DeepEquals(alerts, manifests["PrometheusRule"]["spec"]));

        Assert.Null(Manifests.Fault(manifests["ConfigMap"]));
        var (name, dashboard) = Assert.Single(manifests["ConfigMap"]["data"]!.AsObject());
        Assert.Equal("aws-vpc-cni-overview.json", name);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(File("dashboards/overview.json")), JsonNode.Parse(dashboard!.GetValue<string>())));
    }

    private static string File(string name) => System.IO.File.ReadAllText(Path.Combine(Repository.Root, Chart, name));
}
