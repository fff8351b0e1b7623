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
    public void With_a_variable_that_the_schema_takes_the_silo_starts()
    {
        var table = ChartVariables.Table();
        string[] values = ["", "-1", "0", "1", "64", "1024", "3600", "true", "F", "{}", "{\"team\":\"net\"}", "topology.kubernetes.io/zone"];
        Assert.NotEmpty(SettingErrors([("ADDITIONAL_ENI_TAGS", """{"cost:team":"net"}""")])); // Which a text does not show.
        foreach (var (name, schema) in ChartVariables.EnvSchema()["properties"]!.AsObject().Where(variable => table[variable.Key]!["refused"] is null && !ChartVariables.OfExecutors.ContainsKey(variable.Key)))
        {
            Assert.All(values.Where(value => Takes(schema!, value)), value => Assert.Empty(SettingErrors([(name, value)])));
        }
    }

    [Fact]
    public void A_setting_that_the_schema_takes_the_silo_takes_and_no_other()
    {
        // Written in full: the silo takes 30, and even 24:00:00, for days.
        string[] spans =
        [
            "00:00:00", "0.00:00:00", "00:00:00.009", "00:00:00.0099999", "00:00:00.01", "00:00:00.0100000", "00:00:00.049", "00:00:00.05", "00:00:00.5", "00:00:01", "00:00:59.9999999", "00:01:00", "00:01:00.0000001",
            "00:02:00", "00:59:59.9", "01:00:00", "01:00:00.0000001", "0.01:00:00.1", "02:00:00", "02:00:01", "23:59:59.9999999", "1.00:00:00", "30.00:00:00", "399.23:59:59.9", "400.00:00:00", "400.00:00:01", "401.00:00:00",
            "00:60:00", "00:00:60", "one hour", "-00:00:01", "",
        ];
        List<string> differ = [];
        string[] numbers = ["-1", "0", "1", "2", "64", "65", "1000", "1001", "1024", "1025", "1000000", "1000001", "0.2", "0.25", "0.8", "1.5"];
        string[] texts = ["", "subnet-0a1b", "sg-0a1b", "http://10.0.0.1:1", "https://ec2.internal", "ftp://10.0.0.1", "10.0.0.1", "topology.kubernetes.io/zone"];
        foreach (var (name, schema) in ChartVariables.SettingsSchema()["properties"]!.AsObject())
        {
            (string Key, string Value)[][] cases = Kind(schema!) switch
            {
                "array" => [.. texts.Select(text => new[] { ($"{name}:0", text) }), [.. Enumerable.Range(0, 16).Select(index => ($"{name}:{index}", $"sg-{index}"))], [.. Enumerable.Range(0, 17).Select(index => ($"{name}:{index}", $"sg-{index}"))]],
                "object" => [.. new[] { "team", "aws:team", "cost:team", "aws-vpc-cni/x", "node.k8s.amazonaws.com/x", new string('k', 128), new string('k', 129) }.Select(key => new[] { ($"{name}:{key}", "net") }), [($"{name}:team", new string('v', 256))], [($"{name}:team", new string('v', 257))], [.. Enumerable.Range(0, 41).Select(index => ($"{name}:{index}", "x"))]],
                "string" => [.. spans.Concat(texts).Where(value => value.Length > 0 || name != "Pool:PreferredRest").Select(value => new[] { (name, value) })],
                "boolean" => [],
                _ => [.. numbers.Select(value => new[] { (name, value) })],
            };
            foreach (var one in cases)
            {
                // With what else it needs; an empty rest is none, which values leave out.
                (string, string)[] beside = name switch { "Pool:SecurityGroups" => [("Pool:CustomNetworking", "true")], "Pool:WarmIps" => [("Pool:MinimumIps", "1")], "Pool:MinimumIps" => [("Pool:WarmIps", "1")], "Pool:PreferredRest" => [("Pool:Cooldown", "00:00:00")], _ => [] };
                var errors = SettingErrors([.. one, .. beside]);
                // What is a text of any kind is none of the schema's.
                var isFree = schema!["pattern"] is null && schema["enum"] is null && Kind(schema) == "string";
                if (!isFree && TakesSetting(schema, name, one) != (errors is []))
                {
                    differ.Add($"{string.Join(' ', one)}: the schema says {TakesSetting(schema, name, one)}, the silo: {string.Join(' ', errors)}");
                }
            }
        }

        Assert.Empty(differ);
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

    private static string? Kind(JsonNode schema) => schema["type"] is JsonValue kind ? kind.GetValue<string>() : null;

    private static bool TakesSetting(JsonNode schema, string name, (string Key, string Value)[] setting) => Kind(schema) switch
    {
        "array" => setting.All(item => Takes(schema["items"]!, item.Value)) && !(setting.Length > (int?)schema["maxItems"]),
        "object" => setting.All(item => item.Key[(name.Length + 1)..].Length <= (int)schema["propertyNames"]!["maxLength"]! && !Takes(schema["propertyNames"]!["not"]!, item.Key[(name.Length + 1)..]) && item.Value.Length <= (int)schema["additionalProperties"]!["maxLength"]!)
            && setting.Length <= (int)schema["maxProperties"]!,
        "integer" => int.TryParse(setting[0].Value, CultureInfo.InvariantCulture, out var whole) && whole >= (int)schema["minimum"]! && whole <= (int)schema["maximum"]!,
        "number" => double.Parse(setting[0].Value, CultureInfo.InvariantCulture) is var number && number >= double.Parse(schema["minimum"]!.ToJsonString(), CultureInfo.InvariantCulture) && number <= double.Parse(schema["maximum"]!.ToJsonString(), CultureInfo.InvariantCulture),
        _ => Takes(schema, setting[0].Value),
    };

    /// <summary>Of a silo that has what the chart gives it besides.</summary>
    private static string[] SettingErrors(IEnumerable<(string Key, string Value)> settings)
    {
        (string Key, string Value)[] besides =
            [("Cluster:Name", "c"), ("Ec2:Region", "eu-west-1"), ("Ec2:VpcId", "vpc-0123456789abcdef0"), ("Silo:Address", "10.0.0.4"), ("Kubernetes:Enabled", "true"), ("KUBERNETES_SERVICE_HOST", "10.100.0.1"), .. ChartFiles.OfKubernetes];
        return [.. SiloSettings.Errors(new ConfigurationBuilder().AddInMemoryCollection(besides.Concat(settings).Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value))).Build())];
    }

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
