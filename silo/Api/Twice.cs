using System.Text.Json;

namespace AwsVpcCni.Silo.Api;

/// <summary>Finds a name that a body has twice: of two values one would be checked and the other one taken.</summary>
internal static class Twice
{
    private const int Fields = 2; // Levels whose names are fields, in any case; below are tags, whose case counts.

    /// <summary>The first, with its path, such as <c>policy.warmIps</c>; null when each is there once.</summary>
    public static string? In(JsonElement element, string path = "", int level = 0)
    {
        if (element.ValueKind == JsonValueKind.Array)
        {
            return element.EnumerateArray().Select(item => In(item, path, level + 1)).FirstOrDefault(found => found is not null);
        }

        if (element.ValueKind != JsonValueKind.Object)
        {
            return null;
        }

        var seen = new HashSet<string>(level < Fields ? StringComparer.OrdinalIgnoreCase : StringComparer.Ordinal);
        foreach (var field in element.EnumerateObject())
        {
            var name = path.Length == 0 ? field.Name : $"{path}.{field.Name}";
            if ((seen.Add(field.Name) ? In(field.Value, name, level + 1) : name) is { } found)
            {
                return found;
            }
        }

        return null;
    }
}
