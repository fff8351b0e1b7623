using System.Text.Json.Nodes;

namespace AwsVpcCni.KubeEmulator;

/// <summary>Who may do what, by the Roles, ClusterRoles and bindings among the objects.</summary>
public sealed class Rights(ObjectStore objects)
{
    /// <summary>Whether some rule allows it. Nothing else does.</summary>
    public bool Allows(Caller caller, Act act)
    {
        if (caller.IsAdmin)
        {
            return true;
        }

        var everywhere = Rules("clusterrolebindings", null, caller);
        return everywhere.Any(rule => Covers(rule, act))
            || (act is { Path: null, Namespace: { } ns } && Rules("rolebindings", ns, caller).Any(rule => Covers(rule, act)));
    }

    private IEnumerable<JsonObject> Rules(string bindings, string? ns, Caller caller)
    {
        foreach (var (_, binding) in objects.List(Type(bindings), ns).Items)
        {
            if (binding["subjects"]?.AsArray().Any(subject => IsOf(subject!, caller)) == true)
            {
                var reference = binding["roleRef"]!;
                var isCluster = reference["kind"]!.GetValue<string>() == "ClusterRole";
                var role = objects.Get(Type(isCluster ? "clusterroles" : "roles"), isCluster ? null : ns, reference["name"]!.GetValue<string>());
                foreach (var rule in role?["rules"]?.AsArray() ?? [])
                {
                    yield return rule!.AsObject();
                }
            }
        }
    }

    private static ResourceType Type(string plural) => ResourceType.All.Single(type => type.Group == "rbac.authorization.k8s.io" && type.Plural == plural);

    private static bool IsOf(JsonNode subject, Caller caller) => subject["kind"]?.GetValue<string>() switch
    {
        "ServiceAccount" => caller.Name == $"system:serviceaccount:{subject["namespace"]?.GetValue<string>()}:{subject["name"]?.GetValue<string>()}",
        "Group" => caller.Groups.Contains(subject["name"]?.GetValue<string>()),
        _ => caller.Name == subject["name"]?.GetValue<string>(),
    };

    private static bool Covers(JsonObject rule, Act act) => act.Path is { } path
        ? Has(rule, "verbs", act.Verb) && rule["nonResourceURLs"]?.AsArray().Any(url => Covers(url!.GetValue<string>(), path)) == true
        : Has(rule, "verbs", act.Verb) && Has(rule, "apiGroups", act.Group) && Has(rule, "resources", act.Resource)
            && (rule["resourceNames"] is not JsonArray { Count: > 0 } names || (act.Name is { } name && names.Any(known => known!.GetValue<string>() == name)));

    private static bool Covers(string url, string path) => url.EndsWith('*') ? path.StartsWith(url[..^1], StringComparison.Ordinal) : url == path;

    private static bool Has(JsonObject rule, string list, string? value) => rule[list]?.AsArray().Any(entry => entry!.GetValue<string>() is var text && (text == "*" || text == value)) == true;
}

/// <summary>Who is calling.</summary>
public sealed record Caller(string Name, IReadOnlyList<string> Groups, bool IsAdmin = false);

/// <summary>What somebody wants to do.</summary>
/// <param name="Resource">With its subresource: <c>nodes/status</c>.</param>
/// <param name="Path">Of what is no resource, such as <c>/openid/v1/jwks</c>.</param>
public sealed record Act(string Verb, string? Group, string? Resource, string? Namespace, string? Name, string? Path = null);
