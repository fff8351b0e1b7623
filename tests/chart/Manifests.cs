using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using k8s;
using k8s.Models;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace AwsVpcCni.Tests.Chart;

/// <summary>Rendered manifests as JSON, which is what the API server gets, and their check against Kubernetes' own types.</summary>
internal static class Manifests
{
    private static readonly Dictionary<string, Type> Kinds = new()
    {
        ["v1/ConfigMap"] = typeof(V1ConfigMap),
        ["v1/Pod"] = typeof(V1Pod),
        ["v1/Service"] = typeof(V1Service),
        ["v1/ServiceAccount"] = typeof(V1ServiceAccount),
        ["apps/v1/DaemonSet"] = typeof(V1DaemonSet),
        ["apps/v1/Deployment"] = typeof(V1Deployment),
        ["apps/v1/StatefulSet"] = typeof(V1StatefulSet),
        ["policy/v1/PodDisruptionBudget"] = typeof(V1PodDisruptionBudget),
        ["rbac.authorization.k8s.io/v1/ClusterRole"] = typeof(V1ClusterRole),
        ["rbac.authorization.k8s.io/v1/ClusterRoleBinding"] = typeof(V1ClusterRoleBinding),
        ["rbac.authorization.k8s.io/v1/Role"] = typeof(V1Role),
        ["rbac.authorization.k8s.io/v1/RoleBinding"] = typeof(V1RoleBinding),
    };

    static Manifests() => KubernetesJson.AddJsonOptions(options => options.UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow);

    /// <summary>All documents of a YAML text.</summary>
    public static JsonObject[] Read(string yaml)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(yaml));
        return [.. stream.Documents.Select(document => Of(document.RootNode)).OfType<JsonObject>()];
    }

    public static string Kind(JsonObject manifest) => $"{manifest["apiVersion"]}/{manifest["kind"]}";

    /// <summary>What is wrong with one: a field that its kind does not have, or a value of another type. Null: nothing.</summary>
    public static string? Fault(JsonObject manifest)
    {
        if (!Kinds.TryGetValue(Kind(manifest), out var type))
        {
            return $"{Kind(manifest)} is no kind that is known here";
        }

        try
        {
            typeof(KubernetesJson).GetMethods().Single(method => method.Name == nameof(KubernetesJson.Deserialize) && method.GetParameters()[0].ParameterType == typeof(string))
                .MakeGenericMethod(type).Invoke(null, [manifest.ToJsonString(), null]);
            return null;
        }
        catch (System.Reflection.TargetInvocationException e) when (e.InnerException is JsonException or FormatException or NotSupportedException or InvalidOperationException)
        {
            return e.InnerException.Message;
        }
    }

    private static JsonNode? Of(YamlNode node) => node switch
    {
        YamlMappingNode map => new JsonObject(map.Children.Select(child => KeyValuePair.Create(((YamlScalarNode)child.Key).Value!, Of(child.Value)))),
        YamlSequenceNode list => new JsonArray([.. list.Children.Select(Of)]),
        YamlScalarNode scalar => Of(scalar),
        _ => throw new InvalidDataException($"{node.NodeType} at {node.Start}"),
    };

    // As Helm and kubectl read YAML: version 1.1, where a bare yes is true.
    private static JsonNode? Of(YamlScalarNode scalar) => scalar.Style != ScalarStyle.Plain ? JsonValue.Create(scalar.Value) : scalar.Value switch
    {
        null or "" or "null" or "~" => null,
        "true" or "True" or "yes" or "Yes" or "on" or "On" or "y" or "Y" => true,
        "false" or "False" or "no" or "No" or "off" or "Off" or "n" or "N" => false,
        ['0', .. { Length: > 1 } octal] when octal.All(char.IsAsciiDigit) => Convert.ToInt32(octal, 8),
        var text when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole) => whole,
        var text when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) => number,
        var text => JsonValue.Create(text),
    };
}
