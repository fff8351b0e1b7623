using System.Collections.Immutable;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using AwsVpcCni.NodeExecutor;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Configuration;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Charts;

/// <summary>The chart's schema says of variables and settings what silo and executor do with them.</summary>
public sealed class ChartVariablesTests
{
    private const string Regenerate = "CHART_REGENERATE";
    private static readonly JsonSerializerOptions Written = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    [Fact]
    public void The_stored_schema_is_what_the_tables_say()
    {
        var stored = JsonNode.Parse(File.ReadAllText(ChartFiles.Path("values.schema.json")))!;
        stored["properties"]!["env"] = ChartVariables.EnvSchema();
        stored["properties"]!["silo"]!["properties"]!["settings"] = ChartVariables.SettingsSchema();
        IsStored("values.schema.json", stored);
    }

    [Fact]
    public void The_stored_table_of_variables_is_what_the_silos_says() => IsStored("variables.json", ChartVariables.Table());

    [Fact]
    public void A_value_that_the_schema_takes_silo_and_executor_take_and_no_other()
    {
        var schemas = ChartVariables.EnvSchema()["properties"]!.AsObject();
        var table = ChartVariables.Table();
        string[] values =
        [
            .. new[] { 0, 576, 1024, 3600, 9001 }.SelectMany(bound => Enumerable.Range(bound - 70, 140)).Select(number => number.ToString(CultureInfo.InvariantCulture)),
            "true", "false", "True", "F", "t", "yes", "TRUE", "tRUE", "on", "1.5", "4294967295", "1e3", "0x80", "0b101", "0x", "0o17", "017", "09", "0x0",
            "prng", "hashrandom", "none", "random", "eni", "eth", "lo", "vlan", "veth", "toolong", "a-b", "10.0.0.0/8", "10.0.0.0/8, 192.168.0.0/16", "10.0.0.0", "10.0.0.0/33", "256.0.0.0/8", "fd00::/8", "{}", "{\"team\":\"net\"}", "team",
        ];
        foreach (var (name, schema) in schemas.Where(variable => table[variable.Key]!["refused"] is null && table[variable.Key]!["instead"] is null))
        {
            Assert.All(values, value => Assert.True(Takes(schema!, value) == (Error(name, value) is null), $"{name}={value}: the schema says {Takes(schema!, value)}, the program: {Error(name, value)}"));
        }
    }

    [Fact]
    public void Every_variable_goes_to_who_reads_it()
    {
        // The executor reads just those: what is bad is told of them, and of no other one.
        var told = VpcCniEnvironment.Variables.Select(variable => variable.Name).Where(name => ExecutorError(name, "?") is not null);
        Assert.Equal(ChartVariables.OfExecutors.Keys, told);
    }

    // Programs read texts, so a number of the schema is asked as one.
    private static bool Takes(JsonNode schema, string value) =>
        schema["enum"] is JsonArray words ? words.Any(word => word!.GetValueKind() == JsonValueKind.String && word.GetValue<string>() == value)
        : schema["not"] is { } not && Takes(not, value) ? false
        : schema["pattern"] is not { } pattern || Regex.IsMatch(value, pattern.GetValue<string>());

    private static string? Error(string name, string value) => ChartVariables.OfExecutors.ContainsKey(name) ? ExecutorError(name, value) : VpcCniEnvironment.Read(
        new ConfigurationBuilder().AddInMemoryCollection([KeyValuePair.Create(name, (string?)value)]).Build()).Errors.FirstOrDefault();

    private static string? ExecutorError(string name, string value)
    {
        var environment = ImmutableDictionary<string, string>.Empty.Add("AWS_VPC_CNI_SILOS", "http://10.0.0.1:1").Add("AWS_VPC_CNI_TOKEN_FILE", "/t").Add("AWS_VPC_CNI_CONFIG", "/dev/null").SetItem(name, value);
        try
        {
            ExecutorSettings.Read(environment.GetValueOrDefault);
            return null;
        }
        catch (ExecutorStoppedException e)
        {
            return e.Message.Split('\n').FirstOrDefault(line => line.Contains($"{name}=", StringComparison.Ordinal));
        }
    }

    private static void IsStored(string name, JsonNode wanted)
    {
        var (path, text) = (ChartFiles.Path(name), wanted.ToJsonString(Written) + "\n");
        if (Environment.GetEnvironmentVariable(Regenerate) is not null)
        {
            File.WriteAllText(path, text);
        }

        Assert.True(File.ReadAllText(path) == text, $"charts/aws-vpc-cni-distributed/{name} is not what the tables of variables and settings say. Write it anew: {Regenerate}=1 make test-unit, then look at git diff.");
    }
}
