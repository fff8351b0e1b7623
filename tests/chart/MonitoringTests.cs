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

    /// <summary>Without it each scrape would be refused.</summary>
    [Theory]
    [InlineData("3", "", "{\"bearerTokenFile\":\"/var/run/secrets/kubernetes.io/serviceaccount/token\"}")]
    [InlineData("4", ",monitoring.tokenSecret=scrape", "{\"authorization\":{\"credentials\":{\"name\":\"scrape\",\"key\":\"token\"}}}")]
    [InlineData("4", ",silo.http.metricsOpen=true", "{}")]
    [InlineData("4", ",silo.http.reviews=false", "{}")]
    public async Task Prometheus_shows_the_silos_a_token_where_they_want_one(string major, string more, string shown)
    {
        var (exitCode, said) = await Helm.RunOrSkipAsync(major, "template", "cni", Chart, "--values", Repository.Values("dynamodb"), "--set", "monitoring.rules=false" + more, "--show-only", "templates/monitoring.yaml");
        Assert.True(exitCode == 0, said);

        var endpoint = Assert.Single(Manifests.Read(said).Single(manifest => manifest["kind"]!.ToString() == "ServiceMonitor")["spec"]!["endpoints"]!.AsArray())!.AsObject();

        Assert.All(["port", "path", "interval"], name => Assert.True(endpoint.Remove(name)));
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(shown), endpoint), endpoint.ToJsonString());
    }

    private static string File(string name) => System.IO.File.ReadAllText(Path.Combine(Repository.Root, Chart, name));
}
