using System.Text.Json.Nodes;

namespace AwsVpcCni.KubeEmulator;

/// <summary>A label or field selector: <c>a=b,c!=d,e</c>. Sets (<c>in</c>) are not there.</summary>
public sealed class Selector
{
    // The fields that Kubernetes selects pods, nodes and events by; for any other it refuses.
    private static readonly string[] Fields =
    [
        "metadata.name", "metadata.namespace", "spec.nodeName", "status.phase", "status.podIP", "spec.hostNetwork", "involvedObject.kind", "involvedObject.name", "involvedObject.namespace", "involvedObject.uid", "reason", "type",
    ];

    private readonly List<Func<JsonObject, bool>> _terms = [];

    /// <exception cref="FormatException">It is none, or names a field that cannot be selected by.</exception>
    public Selector(string? labels, string? fields)
    {
        foreach (var term in Terms(labels))
        {
            var (key, isEqual, value) = Split(term);
            _terms.Add(item => value is null
                ? (Label(item, key) is not null) == isEqual
                : (Label(item, key) == value) == isEqual);
        }

        foreach (var term in Terms(fields))
        {
            var (key, isEqual, value) = Split(term);
            if (value is null || !Fields.Contains(key))
            {
                throw new FormatException($"field label not supported: {key}");
            }

            _terms.Add(item => (Field(item, key) == value) == isEqual);
        }
    }

    /// <summary>Whether all terms hold.</summary>
    public bool Matches(JsonObject item) => _terms.TrueForAll(term => term(item));

    private static string[] Terms(string? selector) => (selector ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static (string Key, bool IsEqual, string? Value) Split(string term)
    {
        if (term.Contains(' ', StringComparison.Ordinal))
        {
            throw new FormatException($"'{term}' is not understood here: only a=b, a!=b and a.");
        }

        var sign = term.IndexOf('=', StringComparison.Ordinal);
        return sign < 0 ? (term.TrimStart('!'), !term.StartsWith('!'), null)
            : term[sign - 1] == '!' ? (term[..(sign - 1)], false, term[(sign + 1)..])
            : (term[..sign], true, term[(sign + 1)..].TrimStart('='));
    }

    private static string? Label(JsonObject item, string key) => item["metadata"]?["labels"]?[key]?.GetValue<string>();

    private static string Field(JsonObject item, string path)
    {
        JsonNode? at = item;
        foreach (var name in path.Split('.'))
        {
            at = at?[name];
        }

        return at switch
        {
            null when path == "spec.hostNetwork" => "false",
            null => "",
            JsonValue value when value.TryGetValue<bool>(out var flag) => flag ? "true" : "false",
            _ => at.ToString(),
        };
    }
}
