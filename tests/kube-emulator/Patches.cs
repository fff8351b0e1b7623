using System.Globalization;
using System.Text.Json.Nodes;

namespace AwsVpcCni.KubeEmulator;

/// <summary>JSON merge patches (RFC 7386); JSON patches (RFC 6902) that add, replace or remove; and of strategic ones what node conditions need: a list of conditions is merged by type.</summary>
internal static class Patches
{
    /// <summary>The object after a JSON patch.</summary>
    /// <exception cref="FormatException">It does something else, or its path leads nowhere.</exception>
    public static JsonObject Apply(JsonObject item, JsonArray operations)
    {
        foreach (var operation in operations.Select(one => one!.AsObject()))
        {
            var words = operation["path"]!.GetValue<string>().Split('/').Skip(1).Select(word => word.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal)).ToArray();
            JsonNode? at = item;
            foreach (var word in words.SkipLast(1))
            {
                at = at is JsonArray list ? list[int.Parse(word, CultureInfo.InvariantCulture)] : at?[word];
            }

            switch (operation["op"]!.GetValue<string>(), at)
            {
                case ("remove", JsonObject holder) when holder.Remove(words[^1]):
                    break;
                case ("remove", JsonArray list):
                    list.RemoveAt(int.Parse(words[^1], CultureInfo.InvariantCulture));
                    break;
                case ("add" or "replace", JsonObject holder):
                    holder[words[^1]] = operation["value"]?.DeepClone();
                    break;
                case ("add", JsonArray list):
                    list.Insert(words[^1] == "-" ? list.Count : int.Parse(words[^1], CultureInfo.InvariantCulture), operation["value"]?.DeepClone());
                    break;
                case ("replace", JsonArray list):
                    list[int.Parse(words[^1], CultureInfo.InvariantCulture)] = operation["value"]?.DeepClone();
                    break;
                default:
                    throw new FormatException($"{operation.ToJsonString()} is no operation that the emulator has, or there is nothing at its path");
            }
        }

        return item;
    }

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
