using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace AwsVpcCni.Tests.Unit.Charts;

/// <summary>Alerts and dashboards as they are in the chart's folder.</summary>
internal static partial class ChartFiles
{
    private static readonly string Folder = System.IO.Path.GetFullPath(System.IO.Path.Combine(Here(), "..", "..", "..", "charts", "aws-vpc-cni-distributed"));

    /// <summary>Settings of files that kubelet mounts, with one that is there: without it other sections' errors would not be told.</summary>
    public static readonly (string Setting, string Path)[] OfKubernetes = [("Kubernetes:TokenPath", typeof(ChartFiles).Assembly.Location), ("Kubernetes:CaPath", typeof(ChartFiles).Assembly.Location)];

    public static string Path(string name) => System.IO.Path.Combine(Folder, name);

    public static JsonElement[] Dashboards { get; } = [.. Directory.EnumerateFiles(Path("dashboards"), "*.json").Select(path => JsonDocument.Parse(File.ReadAllText(path)).RootElement)];

    public static JsonElement[] Panels { get; } = [.. Dashboards.SelectMany(dashboard => dashboard.GetProperty("panels").EnumerateArray())];

    /// <summary>PromQL of the alerts.</summary>
    public static string[] OfAlerts { get; } = [.. AlertExpression().Matches(File.ReadAllText(Path("alerts.yaml"))).Select(match => match.Groups["expr"].Value)];

    /// <summary>PromQL of the dashboards, the questions behind their variables too.</summary>
    public static string[] OfDashboards { get; } =
    [
        .. Panels.Where(panel => panel.TryGetProperty("targets", out _)).SelectMany(panel => panel.GetProperty("targets").EnumerateArray()).Select(target => target.GetProperty("expr").GetString()!),
        .. Dashboards.SelectMany(dashboard => dashboard.GetProperty("templating").GetProperty("list").EnumerateArray()).Where(variable => variable.TryGetProperty("definition", out _)).Select(variable => variable.GetProperty("definition").GetString()!),
    ];

    // On its line, or folded over the deeper lines that follow.
    [GeneratedRegex(@"^        expr: (>-(?<expr>(\n          .*)+)|(?<expr>.+))$", RegexOptions.Multiline)]
    private static partial Regex AlertExpression();

    private static string Here([CallerFilePath] string path = "") => System.IO.Path.GetDirectoryName(path)!;
}
