namespace AwsVpcCni.KubeEmulator;

/// <summary>What a request's path leads to: <c>/api/v1/namespaces/NS/pods/NAME/status</c>, <c>/apis/GROUP/VERSION/...</c>.</summary>
/// <param name="Namespace">Null: of all namespaces, or the kind has none.</param>
public sealed record Target(ResourceType Type, string? Namespace, string? Name, string? Subresource)
{
    /// <summary>Null when the path leads to no known kind.</summary>
    public static Target? Of(string path)
    {
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries).Select(Uri.UnescapeDataString).ToArray();
        (string Group, string Version, string[] Words)? split = parts switch
        {
            ["api", var version, .. var rest] => ("", version, rest),
            ["apis", var group, var version, .. var rest] => (group, version, rest),
            _ => null,
        };
        if (split is not (var itsGroup, var itsVersion, { Length: > 0 } words))
        {
            return null;
        }

        // `namespaces/NAME` is a namespace itself, `namespaces/NAME/pods` what lies in it.
        var ns = words is ["namespaces", var named, _, ..] && words[2] is not "status" ? named : null;
        words = ns is null ? words : words[2..];
        var type = ResourceType.All.FirstOrDefault(known => known.Group == itsGroup && known.Version == itsVersion && known.Plural == words[0]);
        return type is null || words.Length > 3 || (ns is not null && !type.IsNamespaced) ? null : new Target(type, ns, words.ElementAtOrDefault(1), words.ElementAtOrDefault(2));
    }
}
