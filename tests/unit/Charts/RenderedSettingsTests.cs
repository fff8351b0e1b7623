using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using AwsVpcCni.NodeExecutor;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Configuration;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Charts;

/// <summary>What the chart puts into containers' environment (tests/chart/renderings), the programs in them take: no misspelt name, no value that they refuse.</summary>
public sealed partial class RenderedSettingsTests : IDisposable
{
    private readonly DirectoryInfo plugins = Directory.CreateTempSubdirectory("avc-plugins-");

    public static TheoryData<string> Sets => [.. Directory.EnumerateFiles(Folder(), "*.yaml").Select(Path.GetFileNameWithoutExtension).OfType<string>()];

    public void Dispose() => plugins.Delete(recursive: true);

    [Theory]
    [MemberData(nameof(Sets))]
    public void The_silo_takes_its_environment(string set)
    {
        var environment = Environment(set, "silo");
        environment["Silo__Address"] = "10.0.0.4"; // The field reference beside it.
        var settings = environment.Select(variable => KeyValuePair.Create(variable.Key.Replace("__", ":", StringComparison.Ordinal), (string?)variable.Value)).Append(KeyValuePair.Create("KUBERNETES_SERVICE_HOST", (string?)"10.100.0.1"))
            .Concat(ChartFiles.OfKubernetes.Select(file => KeyValuePair.Create(file.Setting, (string?)file.Path)));

        // Mounted files are not here.
        Assert.All(SiloSettings.Errors(new ConfigurationBuilder().AddInMemoryCollection(settings).Build()), error => Assert.Contains("does not exist or cannot be read", error, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public void The_executor_asks_for_each_of_its_variables_and_takes_it(string set)
    {
        var environment = Environment(set, "executor");
        environment["KUBERNETES_SERVICE_HOST"] = "10.100.0.1";
        environment["AWS_VPC_CNI_PLUGIN_DIR"] = plugins.FullName;
        foreach (var plugin in new[] { "portmap", "bandwidth" })
        {
            File.WriteAllText(Path.Combine(plugins.FullName, plugin), "");
        }

        var asked = new HashSet<string>();
        var settings = ExecutorSettings.Read(name =>
        {
            asked.Add(name);
            return environment.GetValueOrDefault(name);
        });

        Assert.Equal("/host/proc/sys", settings.ProcSys);
        Assert.Empty(environment.Keys.Where(name => name.StartsWith("AWS_", StringComparison.Ordinal) || name.StartsWith("DISABLE_", StringComparison.Ordinal) || name.EndsWith("_MTU", StringComparison.Ordinal)).Except(asked));
    }

    private static Dictionary<string, string> Environment(string set, string container)
    {
        var text = File.ReadAllText(Path.Combine(Folder(), set + ".yaml"));
        var block = Container().Matches(text).Single(match => match.Groups["name"].Value == container).Groups["env"].Value;
        var variables = Variable().Matches(block).ToDictionary(match => match.Groups["name"].Value, match => Regex.Unescape(match.Groups["value"].Value.Trim('"')).Replace("$(HOST_IP)", "10.0.0.9", StringComparison.Ordinal));
        Assert.True(variables.Count > 8, $"{set}: {container} has {variables.Count} variables");
        return variables;
    }

    private static string Folder([CallerFilePath] string path = "") => Path.GetFullPath(Path.Combine(path, "..", "..", "..", "chart", "renderings"));

    [GeneratedRegex(@"^ +- name: (?<name>silo|executor)\n +image: .*\n +imagePullPolicy: .*\n +env:\n(?<env>[\s\S]*?)^ +ports:", RegexOptions.Multiline)]
    private static partial Regex Container();

    // On one line, as the templates write theirs, or on two, as lists of values come out.
    [GeneratedRegex(@"^ +- \{?name: ""?(?<name>[^"",\n]+)""?(, |\n +)value: (?<value>""[^\n]*?""|[^""\n}]*)\}?( #.*)?$", RegexOptions.Multiline)]
    private static partial Regex Variable();
}
