using System.Text.Json.Nodes;

namespace AwsVpcCni.KubeEmulator;

/// <summary>What others ask the API server about a token, and about what somebody may do.</summary>
internal static class Reviews
{
    public const string TokenReviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    public const string AccessReviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    public const string SelfAccessReviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

    /// <summary>The review with its status.</summary>
    public static async Task AnswerAsync(HttpContext http, string path, Caller caller, TokenIssuer tokens, Rights rights)
    {
        var review = await KubeApi.ReadAsync(http);
        var spec = review["spec"] as JsonObject ?? throw new FormatException("spec is missing");
        review["status"] = path == TokenReviews ? ReviewToken(spec, tokens) : new JsonObject { ["allowed"] = rights.Allows(path == AccessReviews ? Subject(spec) : caller, ActOf(spec)) };
        await KubeApi.WriteAsync(http, review, 201);
    }

    private static JsonObject ReviewToken(JsonObject spec, TokenIssuer tokens)
    {
        var audiences = spec["audiences"]?.AsArray().Select(audience => audience!.GetValue<string>()).ToArray() is { Length: > 0 } asked ? asked : [TokenIssuer.ApiAudience];
        var token = spec["token"]!.GetValue<string>();
        if (token == KubeApi.AdminToken)
        {
            return Known(new Caller("admin", ["system:masters", "system:authenticated"]), audiences);
        }

        var (claims, why) = tokens.Check(token, audiences);
        return claims is null ? new JsonObject { ["authenticated"] = false, ["error"] = why } : Known(KubeApi.CallerOf(claims), audiences);
    }

    private static JsonObject Known(Caller caller, string[] audiences) => new()
    {
        ["authenticated"] = true,
        ["user"] = new JsonObject { ["username"] = caller.Name, ["groups"] = new JsonArray([.. caller.Groups.Select(group => (JsonNode)group)]) },
        ["audiences"] = new JsonArray([.. audiences.Select(audience => (JsonNode)audience)]),
    };

    private static Caller Subject(JsonObject spec)
    {
        string[] groups = [.. spec["groups"]?.AsArray().Select(group => group!.GetValue<string>()) ?? []];
        return new Caller(spec["user"]?.GetValue<string>() ?? "", groups, groups.Contains("system:masters"));
    }

    private static Act ActOf(JsonObject spec)
    {
        if (spec["nonResourceAttributes"] is JsonObject url)
        {
            return new Act(url["verb"]!.GetValue<string>(), null, null, null, null, url["path"]!.GetValue<string>());
        }

        var what = spec["resourceAttributes"]!.AsObject();
        string? Of(string name) => what[name]?.GetValue<string>() is { Length: > 0 } text ? text : null;
        return new Act(Of("verb")!, Of("group") ?? "", Of("subresource") is { } sub ? $"{Of("resource")}/{sub}" : Of("resource"), Of("namespace"), Of("name"));
    }
}
