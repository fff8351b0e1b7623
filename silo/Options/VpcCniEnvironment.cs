using System.Globalization;
using System.Text.Json;

namespace AwsVpcCni.Silo.Options;

/// <summary>The environment variables of amazon-vpc-cni-k8s 1.23.1: each is taken over, passed over with a warning, or refused with what to do.</summary>
/// <remarks>The only place that reads them. Our own names (<c>Pool__WarmIps</c>) say the same; both at once are refused unless they agree.</remarks>
internal static class VpcCniEnvironment
{
    private static readonly string[] True = ["1", "t", "T", "TRUE", "true", "True"]; // What Go's ParseBool takes.
    private static readonly string[] False = ["0", "f", "F", "FALSE", "false", "False"];

    private const string Executors = "It is a setting of the nodes: set it for the node executor.";
    private const string NotYet = "This version does not do it. Leave it unset.";

    /// <summary>All of them, in the order of their names.</summary>
    public static readonly IReadOnlyList<Variable> Variables =
    [
        new("ADDITIONAL_ENI_TAGS", new Support.Taken("Pool:AdditionalTags")),
        new("ANNOTATE_POD_IP", Unless(False, NotYet)),
        new("AWS_EC2_ENDPOINT", new Support.Refused("Set AWS_ENDPOINT_URL_EC2 or Ec2__Endpoint.")), // It has no effect in the reference either.
        new("AWS_EXTERNAL_SERVICE_CIDRS", new Support.Ignored(Executors)),
        new("AWS_MANAGE_ENIS_NON_SCHEDULABLE", Unless(True, "Nodes are served whether or not they are schedulable.")),
        new("AWS_VPC_CNI_NODE_PORT_SUPPORT", new Support.Ignored(Executors)),
        new("AWS_VPC_ENI_MTU", new Support.Ignored(Executors)),
        new("AWS_VPC_K8S_CNI_BACKING_STORE", new Support.Ignored("The executor keeps its lease in a file of its own.")),
        new("AWS_VPC_K8S_CNI_CONFIGURE_RPFILTER", new Support.Ignored("It has no effect in amazon-vpc-cni-k8s either.")),
        new("AWS_VPC_K8S_CNI_CONNMARK", new Support.Ignored(Executors)),
        new("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", new Support.Taken("Pool:CustomNetworking")),
        new("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", new Support.Ignored(Executors)),
        new("AWS_VPC_K8S_CNI_EXTERNALSNAT", new Support.Ignored(Executors)),
        new("AWS_VPC_K8S_CNI_LOGLEVEL", new Support.Ignored("Set Logging__LogLevel__Default.")),
        new("AWS_VPC_K8S_CNI_LOG_FILE", new Support.Ignored("The silo logs to its standard output.")),
        new("AWS_VPC_K8S_CNI_RANDOMIZESNAT", new Support.Ignored(Executors)),
        new("AWS_VPC_K8S_CNI_VETHPREFIX", new Support.Ignored(Executors)),
        new("AWS_VPC_K8S_EGRESS_V4_PLUGIN_LOG_FILE", new Support.Ignored("There is no egress plugin.")),
        new("AWS_VPC_K8S_EGRESS_V6_PLUGIN_LOG_FILE", new Support.Ignored("There is no egress plugin.")),
        new("AWS_VPC_K8S_PLUGIN_LOG_FILE", new Support.Ignored("The plugin logs nothing; the executor does.")),
        new("AWS_VPC_K8S_PLUGIN_LOG_LEVEL", new Support.Ignored("The plugin logs nothing; the executor does.")),
        new("CLUSTER_ENDPOINT", new Support.Ignored("Silos and executors find the Kubernetes API as every pod does; Kubernetes__ApiServer names another address to a silo, AWS_VPC_CNI_API_SERVER to an executor.")),
        new("CLUSTER_NAME", new Support.Taken("Cluster:Name")),
        new("DISABLE_INTROSPECTION", new Support.Ignored("Operators ask `silo ipam` and the HTTP API, which listens on loopback.")),
        new("DISABLE_LEAKED_ENI_CLEANUP", Unless(False, "Give an interface that must stay the tag node.k8s.amazonaws.com/no_manage=true; with DISABLE_NETWORK_RESOURCE_PROVISIONING nothing is deleted.")),
        new("DISABLE_METRICS", new Support.Ignored("There is no such port.")),
        new("DISABLE_NETWORK_RESOURCE_PROVISIONING", new Support.Taken("Pool:Provisions", Reversed: true)),
        new("DISABLE_POD_V6", Unless(False, NotYet)),
        new("DISABLE_TCP_EARLY_DEMUX", new Support.Ignored(Executors)),
        new("ENABLE_BANDWIDTH_PLUGIN", Unless(False, "Set AWS_VPC_CNI_CHAINED=portmap,bandwidth of the executors.")),
        new("ENABLE_IMDS_ONLY_MODE", Unless(False, "Nodes make no EC2 call in any case; the silo needs EC2.")),
        new("ENABLE_IPv4", Unless(True, NotYet)),
        new("ENABLE_IPv6", Unless(False, NotYet)),
        new("ENABLE_MULTI_NIC", Unless(False, NotYet)),
        new("ENABLE_NFTABLES", new Support.Ignored("It has no effect in amazon-vpc-cni-k8s either.")),
        new("ENABLE_POD_ENI", Unless(False, NotYet)),
        new("ENABLE_PREFIX_DELEGATION", new Support.Taken("Pool:Prefixes")),
        new("ENABLE_SUBNET_DISCOVERY", new Support.Taken("Pool:Discovers")),
        new("ENABLE_V4_EGRESS", new Support.Ignored("It serves IPv6 clusters only.")),
        new("ENABLE_V6_EGRESS", Unless(False, NotYet)),
        new("ENI_CONFIG_ANNOTATION_DEF", new Support.Taken("Kubernetes:EniConfigAnnotation")),
        new("ENI_CONFIG_LABEL_DEF", new Support.Taken("Kubernetes:EniConfigLabel")),
        new("HOST_CNI_BIN_PATH", new Support.Ignored(Executors)),
        new("HOST_CNI_CONFDIR_PATH", new Support.Ignored(Executors)),
        new("HTTP_TIMEOUT", new Support.Ignored("An EC2 call ends after 10 s.")),
        new("INTROSPECTION_BIND_ADDRESS", new Support.Ignored("Set Http__Address and Http__Port.")),
        new("IP_COOLDOWN_PERIOD", new Support.Taken("Pool:Cooldown")),
        new("MANAGE_UNTAGGED_ENI", new Support.Taken("Pool:ManageUntagged")),
        new("MAX_ENI", new Support.Taken("Pool:MaxEnis")),
        new("MINIMUM_IP_TARGET", new Support.Taken("Pool:MinimumIps")),
        new("MY_NODE_NAME", new Support.Ignored("The silo is no node's.")),
        new("MY_POD_NAME", new Support.Ignored("The silo needs it not.")),
        new("NETWORK_POLICY_ENFORCING_MODE", Unless(["standard", "Standard", ""], "Run a network policy engine of its own beside it, such as Cilium or Calico in policy-only mode.")),
        new("POD_MTU", new Support.Ignored(Executors)),
        new("POD_SECURITY_GROUP_ENFORCING_MODE", new Support.Ignored("It serves ENABLE_POD_ENI only.")),
        new("VPC_CNI_VERSION", new Support.Ignored("It is a name in the reference's requests.")),
        new("WARM_ENI_TARGET", new Support.Taken("Pool:WarmEnis")),
        new("WARM_IP_TARGET", new Support.Taken("Pool:WarmIps")),
        new("WARM_PREFIX_TARGET", new Support.Taken("Pool:WarmPrefixes")),
    ];

    /// <summary>What the variables say, under our own names.</summary>
    public static Reading Read(IConfiguration configuration)
    {
        var reading = new Reading();
        foreach (var variable in Variables)
        {
            if (configuration[variable.Name] is not { } value)
            {
                continue;
            }

            switch (variable.Support)
            {
                case Support.Ignored ignored:
                    reading.Warnings.Add($"{variable.Name}={value} has no effect on the silo. {ignored.Instead}");
                    break;
                case Support.Refused refused when !refused.Harmless.Contains(value, StringComparer.Ordinal):
                    reading.Errors.Add($"{variable.Name}={value} is not supported. {refused.Instead}");
                    break;
                case Support.Taken taken:
                    Take(reading, variable.Name, value, taken);
                    break;
            }
        }

        KeepMeaning(reading, configuration);
        foreach (var (name, value) in reading.Settings)
        {
            if (configuration[name] is { } own && own != value)
            {
                reading.Errors.Add($"{name}={own} and {Origin(name)}={configuration[Origin(name)]} disagree. Set one of them.");
            }
        }

        return reading;
    }

    private static string Origin(string setting) => Variables.First(variable => variable.Support is Support.Taken taken && (taken.Setting == setting || setting.StartsWith(taken.Setting + ":", StringComparison.Ordinal))).Name;

    private static void Take(Reading reading, string name, string value, Support.Taken taken)
    {
        switch (taken.Setting)
        {
            case "Kubernetes:EniConfigAnnotation" or "Kubernetes:EniConfigLabel" when value.Length == 0:
                break; // As in the reference: its default. Our own setting can turn the annotation off.
            case "Cluster:Name" or "Kubernetes:EniConfigAnnotation" or "Kubernetes:EniConfigLabel":
                reading.Settings[taken.Setting] = value;
                break;
            case "Pool:AdditionalTags":
                Tags(reading, name, value);
                break;
            case "Pool:Prefixes" or "Pool:ManageUntagged" or "Pool:Provisions" or "Pool:Discovers" or "Pool:CustomNetworking":
                var isTrue = True.Contains(value, StringComparer.Ordinal);
                if (!isTrue && !False.Contains(value, StringComparer.Ordinal))
                {
                    reading.Errors.Add($"{name}={value} must be true or false.");
                    break;
                }

                reading.Settings[taken.Setting] = isTrue != taken.Reversed ? "true" : "false";
                break;
            case var _ when !int.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) || number < Least(name) || number > Most(name):
                reading.Errors.Add($"{name}={value} must be a whole number from {Least(name)} to {Most(name)}.");
                break;
            case "Pool:Cooldown":
                reading.Settings[taken.Setting] = TimeSpan.FromSeconds(int.Parse(value, CultureInfo.InvariantCulture)).ToString("c", CultureInfo.InvariantCulture);
                break;
            case "Pool:MaxEnis" when int.Parse(value, CultureInfo.InvariantCulture) < 1:
                break; // As in the reference: no limit but the type's.
            default:
                reading.Settings[taken.Setting] = value;
                break;
        }
    }

    /// <summary>What a number may be.</summary>
    internal static int Least(string name) => name == "MAX_ENI" ? -1 : 0;

    /// <inheritdoc cref="Least"/>
    internal static int Most(string name) => name switch
    {
        "IP_COOLDOWN_PERIOD" => 3600,
        "WARM_IP_TARGET" or "MINIMUM_IP_TARGET" => 1024,
        _ => 64,
    };

    private static void Tags(Reading reading, string name, string value)
    {
        try
        {
            foreach (var (key, tag) in JsonSerializer.Deserialize<Dictionary<string, string>>(value) ?? [])
            {
                if (key.Contains("k8s.amazonaws.com", StringComparison.Ordinal))
                {
                    reading.Warnings.Add($"{name}: the tag {key} is left out; keys with k8s.amazonaws.com are kept for the system.");
                    continue;
                }

                reading.Settings[$"Pool:AdditionalTags:{key}"] = tag;
            }
        }
        catch (JsonException)
        {
            reading.Errors.Add($$"""{{name}}={{value}} must be a JSON object of strings, such as {"team":"net"}.""");
        }
    }

    /// <summary>Of the reference's targets 0 is none, and once any is set its defaults hold for the others.</summary>
    private static void KeepMeaning(Reading reading, IConfiguration configuration)
    {
        string[] targets = ["Pool:WarmIps", "Pool:MinimumIps", "Pool:WarmEnis", "Pool:WarmPrefixes"];
        if (!targets.Any(reading.Settings.ContainsKey))
        {
            return;
        }

        foreach (var addresses in targets.Take(2).Where(target => reading.Settings.GetValueOrDefault(target) == "0" && configuration[target] is null))
        {
            reading.Settings.Remove(addresses);
        }

        if (!targets.Take(2).Any(target => reading.Settings.ContainsKey(target) || configuration[target] is not null))
        {
            reading.Settings.TryAdd("Pool:WarmEnis", configuration["Pool:WarmEnis"] ?? "1");
            reading.Settings.TryAdd("Pool:WarmPrefixes", configuration["Pool:WarmPrefixes"] ?? "0");
        }
    }

    private static Support.Refused Unless(string[] harmless, string instead) => new(instead, [.. harmless]);

    /// <summary>One variable of the reference.</summary>
    public sealed record Variable(string Name, Support Support);

    /// <summary>What becomes of a variable. Closed: nobody outside can add a case.</summary>
    public abstract record Support
    {
        private Support()
        {
        }

        /// <summary>It sets one of our settings.</summary>
        public sealed record Taken(string Setting, bool Reversed = false) : Support;

        /// <summary>A warning at the start.</summary>
        public sealed record Ignored(string Instead) : Support;

        /// <summary>The silo does not start, but for values that ask for nothing.</summary>
        public sealed record Refused(string Instead, IReadOnlyList<string> Harmless) : Support
        {
            /// <summary>Whatever its value.</summary>
            public Refused(string instead)
                : this(instead, [])
            {
            }
        }
    }

    /// <summary>What the variables say.</summary>
    public sealed class Reading
    {
        /// <summary>By our names.</summary>
        public SortedDictionary<string, string> Settings { get; } = new(StringComparer.Ordinal);

        /// <summary>What has no effect, each with what to do.</summary>
        public List<string> Warnings { get; } = [];

        /// <summary>What cannot be, each with what to do.</summary>
        public List<string> Errors { get; } = [];
    }
}
