using System.Text.Json.Nodes;

namespace AwsVpcCni.KubeEmulator;

/// <summary>What is no object: the signing keys, the version, and which kinds there are (kubectl asks).</summary>
internal static class Discovery
{
    /// <summary>Answers, or 404.</summary>
    public static Task AnswerAsync(HttpContext http, string path, TokenIssuer tokens) => path.Trim('/').Split('/') switch
    {
        ["openid", "v1", "jwks"] => KubeApi.WriteAsync(http, tokens.Keys()),
        [".well-known", "openid-configuration"] => KubeApi.WriteAsync(http, new JsonObject
        {
            ["issuer"] = tokens.Issuer, ["jwks_uri"] = $"{tokens.Issuer}/openid/v1/jwks", ["response_types_supported"] = new JsonArray("id_token"),
            ["subject_types_supported"] = new JsonArray("public"), ["id_token_signing_alg_values_supported"] = new JsonArray("RS256"),
        }),
        ["version"] => KubeApi.WriteAsync(http, new JsonObject { ["major"] = "1", ["minor"] = "32", ["gitVersion"] = "v1.32.0-emulator" }),
        ["healthz"] or ["livez"] or ["readyz"] => http.Response.WriteAsync("ok"),
        ["api"] => KubeApi.WriteAsync(http, new JsonObject { ["kind"] = "APIVersions", ["versions"] = new JsonArray("v1"), ["serverAddressByClientCIDRs"] = new JsonArray() }),
        ["apis"] => KubeApi.WriteAsync(http, new JsonObject
        {
            ["kind"] = "APIGroupList", ["apiVersion"] = "v1",
            ["groups"] = new JsonArray([.. ResourceType.All.Where(type => type.Group.Length > 0).GroupBy(type => type.Group).Select(group =>
            {
                var version = new JsonObject { ["groupVersion"] = group.First().ApiVersion, ["version"] = group.First().Version };
                return (JsonNode)new JsonObject { ["name"] = group.Key, ["versions"] = new JsonArray(version), ["preferredVersion"] = version.DeepClone() };
            })]),
        }),
        ["api", "v1"] => ListAsync(http, "", "v1"),
        ["apis", var group, var version] => ListAsync(http, group, version),
        _ => KubeApi.FailAsync(http, 404, "NotFound", "the server could not find the requested resource"),
    };

    private static Task ListAsync(HttpContext http, string group, string version)
    {
        var types = ResourceType.All.Where(type => type.Group == group && type.Version == version).ToArray();
        return types is [] ? KubeApi.FailAsync(http, 404, "NotFound", "the server could not find the requested resource") : KubeApi.WriteAsync(http, new JsonObject
        {
            ["kind"] = "APIResourceList", ["apiVersion"] = "v1", ["groupVersion"] = types[0].ApiVersion,
            ["resources"] = new JsonArray([.. types.Select(type => (JsonNode)new JsonObject
            {
                ["name"] = type.Plural, ["singularName"] = type.Kind.ToLowerInvariant(), ["shortNames"] = new JsonArray([.. type.ShortNames.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(name => JsonValue.Create(name))]), ["namespaced"] = type.IsNamespaced, ["kind"] = type.Kind,
                ["verbs"] = new JsonArray("create", "delete", "get", "list", "patch", "update", "watch"),
            })]),
        });
    }
}
