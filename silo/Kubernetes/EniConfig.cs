using System.Text.Json;
using System.Text.Json.Serialization;
using k8s;
using k8s.Models;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>Custom networking's object: in which subnet, and with which security groups, the interfaces of some nodes are. Those of amazon-vpc-cni-k8s.</summary>
internal sealed class EniConfig : IKubernetesObject<V1ObjectMeta>
{
    public const string Group = "crd.k8s.amazonaws.com";
    public const string Version = "v1alpha1";
    public const string Plural = "eniconfigs";

    [JsonPropertyName("apiVersion")]
    public string ApiVersion { get; set; } = "";

    [JsonPropertyName("kind")]
    public string Kind { get; set; } = "";

    [JsonPropertyName("metadata")]
    public V1ObjectMeta Metadata { get; set; } = new();

    [JsonPropertyName("spec")]
    public EniConfigSpec? Spec { get; set; }
}

/// <summary>What it says.</summary>
/// <param name="Subnet">A subnet's id; null: it names none.</param>
/// <param name="SecurityGroups">Ids; none: those of the node's primary interface.</param>
[JsonConverter(typeof(EniConfigSpecJson))]
internal sealed record EniConfigSpec(string? Subnet, IReadOnlyList<string> SecurityGroups)
{
    /// <summary>Names nothing.</summary>
    public static readonly EniConfigSpec Empty = new(null, []);

    /// <summary>Says something that cannot be read.</summary>
    public static readonly EniConfigSpec Unread = new("", []);
}

/// <summary>A cluster whose CRD has no schema stores anything: what cannot be read names nothing, and the other ENIConfigs are read all the same.</summary>
internal sealed class EniConfigSpecJson : JsonConverter<EniConfigSpec>
{
    /// <inheritdoc/>
    public override EniConfigSpec Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        using var read = JsonDocument.ParseValue(ref reader);
        if (read.RootElement is not { ValueKind: JsonValueKind.Object } spec)
        {
            return EniConfigSpec.Unread;
        }

        var subnet = spec.TryGetProperty("subnet", out var named) ? named : default;
        var groups = spec.TryGetProperty("securityGroups", out var listed) ? listed : default;
        var areGroups = groups.ValueKind is JsonValueKind.Array ? groups.EnumerateArray().All(group => group.ValueKind is JsonValueKind.String) : groups.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null;
        var isSubnet = subnet.ValueKind is JsonValueKind.String or JsonValueKind.Undefined or JsonValueKind.Null;
        return !isSubnet || !areGroups ? EniConfigSpec.Unread // With other groups than were meant nothing is made.
            : new EniConfigSpec(subnet.ValueKind is JsonValueKind.String ? subnet.GetString() : null, groups.ValueKind is JsonValueKind.Array ? [.. groups.EnumerateArray().Select(group => group.GetString()!)] : []);
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, EniConfigSpec value, JsonSerializerOptions options) => throw new NotSupportedException("ENIConfigs are only read.");
}

/// <summary>A list of them.</summary>
internal sealed class EniConfigList : IKubernetesObject<V1ListMeta>
{
    [JsonPropertyName("apiVersion")]
    public string ApiVersion { get; set; } = "";

    [JsonPropertyName("kind")]
    public string Kind { get; set; } = "";

    [JsonPropertyName("metadata")]
    public V1ListMeta Metadata { get; set; } = new();

    [JsonPropertyName("items")]
    public IList<EniConfig> Items { get; set; } = [];
}
