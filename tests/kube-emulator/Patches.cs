using System.Text.Json.Nodes;

namespace AwsVpcCni.KubeEmulator;

/// <summary>JSON merge patches (RFC 7386), and of strategic ones what node conditions need: a list of conditions is merged by type.</summary>
internal static class Patches
{
    /// <summary>The object with the patch in it.</summary>
    public static JsonObject Merge(JsonObject item, JsonObject patch, bool isStrategic)
    {
        foreach (var (name, value) in patch)
        {
            item[name] = value switch
            {
                null => null,
                JsonObject inner => Merge(item[name] as JsonObject is { } old ? (JsonObject)old.DeepClone() : [], inner, isStrategic),
                JsonArray list when isStrategic && name == "conditions" && item[name] is JsonArray old => MergeByType(old, list),
                _ => value.DeepClone(),
            };
            if (value is null)
            {
                item.Remove(name);
            }
        }

        return item;
    }

    private static JsonArray MergeByType(JsonArray old, JsonArray changes)
    {
        var merged = old.Select(entry => entry!.DeepClone().AsObject()).ToList();
        foreach (var change in changes.Select(entry => entry!.AsObject()))
        {
            var type = change["type"]!.GetValue<string>();
            var at = merged.FindIndex(entry => entry["type"]?.GetValue<string>() == type);
            if (at < 0)
            {
                merged.Add((JsonObject)change.DeepClone());
            }
            else
            {
                merged[at] = Merge(merged[at], change, isStrategic: true);
            }
        }

        return [.. merged];
    }
}
