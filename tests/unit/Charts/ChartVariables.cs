using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Reflection;
using System.Text.Json.Nodes;
using AwsVpcCni.Silo.Options;
using Support = AwsVpcCni.Silo.Options.VpcCniEnvironment.Support;

namespace AwsVpcCni.Tests.Unit.Charts;

/// <summary>What the chart's files say of variables and settings, made from the tables of silo and executor.</summary>
internal static class ChartVariables
{
    private const string Octet = "(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])";
    private const string Cidr = $@"({Octet}\.){{3}}{Octet}/(3[0-2]|[12]?[0-9])";
    private static readonly string[] Words = ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"]; // What Go's ParseBool takes.

    /// <summary>Each variable that the executors read, with its values.</summary>
    public static readonly IReadOnlyDictionary<string, Func<JsonObject>> OfExecutors = new SortedDictionary<string, Func<JsonObject>>(StringComparer.Ordinal)
    {
        ["AWS_EXTERNAL_SERVICE_CIDRS"] = () => Text($@"^\s*({Cidr}(\s*,\s*{Cidr})*)?\s*$"),
        ["AWS_VPC_CNI_NODE_PORT_SUPPORT"] = Flag,
        ["AWS_VPC_ENI_MTU"] = () => Number(576, 9001),
        ["AWS_VPC_K8S_CNI_CONNMARK"] = () => new JsonObject { ["type"] = new JsonArray("integer", "string"), ["minimum"] = 1, ["maximum"] = uint.MaxValue, ["pattern"] = "^(0[xX][0-9a-fA-F_]*[1-9a-fA-F][0-9a-fA-F_]*|0[bB][01_]*1[01_]*|0[oO]?[0-7_]*[1-7][0-7_]*|[1-9][0-9_]*)$" },
        ["AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS"] = () => Text($@"^\s*({Cidr}(\s*,\s*{Cidr})*)?\s*$"),
        ["AWS_VPC_K8S_CNI_EXTERNALSNAT"] = Flag,
        ["AWS_VPC_K8S_CNI_RANDOMIZESNAT"] = () => OneOf(["prng", "hashrandom", "none"]),
        ["AWS_VPC_K8S_CNI_VETHPREFIX"] = () => new JsonObject { ["type"] = "string", ["pattern"] = "^[a-zA-Z0-9]{1,4}$", ["not"] = OneOf(["eth", "lo", "vlan"]) },
        ["DISABLE_METRICS"] = Flag,
        ["DISABLE_TCP_EARLY_DEMUX"] = Flag,
        ["POD_MTU"] = () => Number(576, 9001),
    };

    // The chart sets them itself, from values of their own.
    private static readonly string[] Owned =
    [
        "Ec2:Region", "Ec2:VpcId", "Ec2:AccountId", "Storage:Provider", "Storage:Path", "Storage:AddressTable", "Storage:HistoryTable", "Storage:GrainTable", "Storage:MembershipTable", "Storage:CreateTables",
        "NodeApi:Address", "NodeApi:Port", "NodeApi:CertificatePath", "NodeApi:KeyPath", "NodeApi:TokenKeyPath", "NodeApi:TokenIssuer", "Http:Address", "Http:Port", "Http:Reviews", "Http:MetricsAreOpen",
        "Kubernetes:Enabled", "Kubernetes:ApiServer", "Kubernetes:TokenPath", "Kubernetes:CaPath", "Kubernetes:Audience", "Kubernetes:Issuer", "Kubernetes:ExecutorServiceAccount", "Kubernetes:PodDemand", "Kubernetes:Events", "Kubernetes:MarkNodes",
    ];

    private static readonly (string Section, Type Options)[] Sections =
        [("Ec2", typeof(Ec2Options)), ("Http", typeof(HttpOptions)), ("Kubernetes", typeof(KubernetesOptions)), ("NodeApi", typeof(NodeApiOptions)), ("Pool", typeof(PoolOptions)), ("Storage", typeof(StorageOptions))];

    private const string MinuteSecond = @"[0-5][0-9]:[0-5][0-9](\.[0-9]{1,7})?";
    private const string UpToAMinute = @"0[1-9]|[1-5][0-9])(\.[0-9]{1,7})?";

    // What a setting's type does not say: those that the silo would refuse, as A_setting_that_the_schema_takes_the_silo_takes_and_no_other finds them.
    private static readonly Dictionary<string, Func<JsonObject>> OfSettings = new()
    {
        ["Ec2:BudgetShare"] = () => new JsonObject { ["type"] = "number", ["minimum"] = 0.25, ["maximum"] = 1 },
        ["Ec2:Endpoint"] = () => Text(@"^https?://[^/\s]"),
        ["Kubernetes:EniConfigLabel"] = () => Text(@"\S"),
        ["NodeApi:CallDeadline"] = () => Text($@"^(0+\.)?00:(01:00(\.0{{1,7}})?|00:({UpToAMinute}|00:00\.(0[5-9]|[1-9])[0-9]{{0,5}})$"),
        ["Pool:AdditionalTags"] = () => Tags(@":|^aws-vpc-cni/|k8s\.amazonaws\.com"),
        ["Pool:Cooldown"] = () => Text($@"^(0+\.)?(00:{MinuteSecond}|01:00:00(\.0{{1,7}})?)$"),
        ["Pool:PreferredRest"] = () => Text($@"^(0+\.)?(0[01]:{MinuteSecond}|02:00:00(\.0{{1,7}})?)$"), // And not below the cool-down, which the silo compares.
        ["Pool:SecurityGroups"] = () => new JsonObject { ["type"] = "array", ["items"] = Text("^sg-"), ["maxItems"] = 16 },
        ["Pool:Subnets"] = () => new JsonObject { ["type"] = "array", ["items"] = Text("^subnet-") },
        ["Storage:AttemptDeadline"] = () => Text(Deadline),
        ["Storage:DocumentDeadline"] = () => Text(Deadline),
        ["Storage:HistoryKept"] = () => Text($@"^((0+\.)?(0[1-9]|1[0-9]|2[0-3]):{MinuteSecond}|0*([1-9]|[1-9][0-9]|[1-3][0-9][0-9])\.([01][0-9]|2[0-3]):{MinuteSecond}|0*400\.00:00:00(\.0{{1,7}})?)$"),
        ["Storage:ServiceUrl"] = () => Text(@"^https?://[^/\s]"),
    };

    private static string Deadline => $@"^(0+\.)?00:(01:00(\.0{{1,7}})?|00:({UpToAMinute}|00:00\.(0[1-9]|[1-9])[0-9]{{0,5}})$";

    /// <summary>The chart's <c>variables.json</c>: where each variable goes, and what is said of those that have no effect or are refused.</summary>
    public static JsonObject Table()
    {
        var table = new JsonObject();
        foreach (var variable in VpcCniEnvironment.Variables)
        {
            var entry = new JsonObject { ["for"] = OfExecutors.ContainsKey(variable.Name) ? "executors" : "silo" };
            table[variable.Name] = entry;
            switch (variable.Support)
            {
                case Support.Ignored ignored when !OfExecutors.ContainsKey(variable.Name):
                    entry["instead"] = ignored.Instead;
                    break;
                case Support.Refused refused:
                    entry["refused"] = true;
                    entry["harmless"] = new JsonArray([.. refused.Harmless.Select(value => JsonValue.Create(value))]);
                    entry["instead"] = refused.Instead;
                    break;
            }
        }

        return table;
    }

    /// <summary>The schema of the value <c>env</c>; <c>cluster.name</c> has a value of its own.</summary>
    public static JsonObject EnvSchema() => Closed(VpcCniEnvironment.Variables.Where(variable => variable.Name != "CLUSTER_NAME").Select(variable => (variable.Name, OfExecutors.TryGetValue(variable.Name, out var executors) ? executors() : Of(variable))));

    /// <summary>The schema of the value <c>silo.settings</c>.</summary>
    public static JsonObject SettingsSchema() => Closed(Sections
        .SelectMany(section => section.Options.GetProperties().Select(property => (Name: $"{section.Section}:{property.Name}", Property: property)))
        .Where(setting => !Owned.Contains(setting.Name)).Select(setting => (setting.Name, OfSettings.TryGetValue(setting.Name, out var own) ? own() : Of(setting.Property))));

    private static JsonObject Of(VpcCniEnvironment.Variable variable) => variable.Support switch
    {
        Support.Taken { Setting: "Pool:AdditionalTags" } => TagsOrTheirText(),
        Support.Taken taken when TypeOf(taken.Setting) == typeof(bool) => Flag(),
        Support.Taken taken when TypeOf(taken.Setting) == typeof(int?) || variable.Name == "IP_COOLDOWN_PERIOD" => Number(VpcCniEnvironment.Least(variable.Name), VpcCniEnvironment.Most(variable.Name)),
        Support.Taken => Text(null),
        _ => new JsonObject { ["type"] = new JsonArray("string", "number", "boolean") }, // The templates refuse, with what to do instead.
    };

    private static Type? TypeOf(string setting) => Sections.Where(section => setting.StartsWith(section.Section + ":", StringComparison.Ordinal)).Select(section => section.Options.GetProperty(setting[(section.Section.Length + 1)..])?.PropertyType).FirstOrDefault();

    private static JsonObject Of(PropertyInfo property) => (Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType) != typeof(int) ? Of(property.PropertyType)
        : (property.DeclaringType == typeof(PoolOptions) ? PoolOptions.BoundsOf(property.Name) : property.GetCustomAttribute<RangeAttribute>() is { } range ? ((int)range.Minimum, (int)range.Maximum) : null) is var (least, most)
            ? new JsonObject { ["type"] = "integer", ["minimum"] = least, ["maximum"] = most }
            : throw new InvalidOperationException($"{property.Name} has no range.");

    private static JsonObject Of(Type type) =>
        Nullable.GetUnderlyingType(type) is { } inner ? Of(inner)
        : type == typeof(bool) ? new JsonObject { ["type"] = "boolean" }
        : type == typeof(string) ? Text(null)
        : throw new InvalidOperationException($"What may a setting be that is a {type.Name}? Say it in OfSettings.");

    private static JsonObject Tags(string reserved) => new()
    {
        ["type"] = "object", ["maxProperties"] = 40, ["propertyNames"] = new JsonObject { ["minLength"] = 1, ["maxLength"] = 128, ["not"] = new JsonObject { ["pattern"] = reserved } },
        ["additionalProperties"] = new JsonObject { ["type"] = "string", ["maxLength"] = 256 },
    };

    // Of the variable keys with k8s.amazonaws.com are left out with a warning, as in the reference. As a text the silo reads it.
    private static JsonObject TagsOrTheirText()
    {
        var schema = Tags(":|^aws-vpc-cni/");
        (schema["type"], schema["pattern"]) = (new JsonArray("object", "string"), @"^\s*\{");
        return schema;
    }

    private static JsonObject Closed(IEnumerable<(string Name, JsonObject Schema)> properties) => new()
    {
        ["type"] = "object",
        ["additionalProperties"] = false,
        ["properties"] = new JsonObject(properties.OrderBy(property => property.Name, StringComparer.Ordinal).Select(property => KeyValuePair.Create(property.Name, (JsonNode?)property.Schema))),
    };

    private static JsonObject Flag() => new() { ["enum"] = new JsonArray([true, false, .. Words.Select(word => JsonValue.Create(word))]) };

    private static JsonObject OneOf(string[] values) => new() { ["enum"] = new JsonArray([.. values.Select(value => JsonValue.Create(value))]) };

    private static JsonObject Text(string? pattern)
    {
        var schema = new JsonObject { ["type"] = "string" };
        if (pattern is not null)
        {
            schema["pattern"] = pattern;
        }

        return schema;
    }

    // As a number, or as the text of one.
    private static JsonObject Number(int least, int most) => new()
    {
        ["type"] = new JsonArray("integer", "string"),
        ["minimum"] = least,
        ["maximum"] = most,
        ["pattern"] = $"^({(least < 0 ? "-1|" : "")}0*({string.Join('|', Decimals(Math.Max(least, 0), most))}))$",
    };

    // Each decade of the range by itself: 0 to 64 is [0-9]|[1-5][0-9]|6[0-4].
    private static IEnumerable<string> Decimals(int least, int most)
    {
        while (least <= most)
        {
            var step = 1; // The largest power of ten whose block begins here and ends within the range.
            while (least % (step * 10) == 0 && least + (step * 10) - 1 <= most && least > 0)
            {
                step *= 10;
            }

            var last = Math.Min(9, (least / step % 10) + ((most - least + 1) / step) - 1);
            var (head, digit) = (least / step / 10, least / step % 10);
            yield return $"{(head == 0 ? "" : head.ToString(CultureInfo.InvariantCulture))}{(digit == last ? $"{digit}" : $"[{digit}-{last}]")}{string.Concat(Enumerable.Repeat("[0-9]", step.ToString(CultureInfo.InvariantCulture).Length - 1))}";
            least += (last - digit + 1) * step;
        }
    }
}
