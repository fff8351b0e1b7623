using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Views;

namespace AwsVpcCni.Silo.Api;

/// <summary>What a change of the policy brings.</summary>
/// <param name="Policy">The whole policy; what is left out has its default. Null: it is taken away.</param>
/// <param name="Who">Is behind it.</param>
/// <param name="Why">For those who read it later.</param>
internal sealed record PolicyBody(PoolOptions? Policy, string Who, string Why)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow };
    private static readonly PropertyInfo[] Settings = typeof(PoolOptions).GetProperties();

    /// <summary>Reads it, whatever the request calls its content: curl calls it a form.</summary>
    /// <returns>All that is wrong, each with its name, its value and what it may be; else the body.</returns>
    /// <exception cref="JsonException">It is no JSON.</exception>
    public static async Task<(PolicyBody? Body, IReadOnlyList<string> Errors)> ReadAsync(Stream stream, bool takesAway, CancellationToken cancellation)
    {
        using var document = await JsonDocument.ParseAsync(stream, default, cancellation);
        string[] errors;
        try
        {
            errors = [.. Errors(document.RootElement, takesAway)];
        }
        catch (InvalidOperationException e)
        {
            throw new JsonException("a text in it is no Unicode", e); // Half of a surrogate pair, or not UTF-8.
        }

        if (errors.Length > 0)
        {
            return (null, errors);
        }

        var body = document.Deserialize<PolicyBody>(Json)!;
        return body.Policy is { } policy && new PoolOptionsValidator().Validate(null, policy) is { Failed: true } refused
            ? (null, [.. refused.Failures!.Select(text => text[Math.Max(0, text.IndexOf("Pool:", StringComparison.Ordinal))..])]) // The property's name is before some.
            : (body, []);
    }

    private static IEnumerable<string> Errors(JsonElement root, bool takesAway)
    {
        var example = takesAway ? """{"who":"...","why":"..."}""" : """{"policy":{"warmIps":2},"who":"...","why":"..."}""";
        if (root.ValueKind != JsonValueKind.Object)
        {
            yield return $"The body is {root.GetRawText()}; send {example}.";
            yield break;
        }

        if (Twice.In(root) is { } twice)
        {
            yield return $"{twice} is in the body twice; send each name once.";
            yield break;
        }

        var sent = root.EnumerateObject().ToDictionary(field => field.Name, field => field.Value, StringComparer.OrdinalIgnoreCase);
        foreach (var (name, most) in new[] { ("who", Asked.MostWho), ("why", Asked.MostWhy) })
        {
            if (!sent.TryGetValue(name, out var value) || value.ValueKind != JsonValueKind.String || value.GetString()!.Length is var length && (length == 0 || length > most))
            {
                yield return $"{name} must be a text of 1 to {most} characters. Send {example}.";
            }
        }

        foreach (var other in sent.Keys.Where(key => !new[] { "who", "why", "policy" }.Contains(key, StringComparer.OrdinalIgnoreCase)))
        {
            yield return $"{other} is not known. Send {example}.";
        }

        if (sent.TryGetValue("policy", out var policy) == takesAway || (!takesAway && policy.ValueKind != JsonValueKind.Object))
        {
            yield return $"policy must be {(takesAway ? "left out" : "an object")}. Send {example}.";
            yield break;
        }

        foreach (var field in takesAway ? [] : policy.EnumerateObject().ToArray())
        {
            var setting = Settings.FirstOrDefault(setting => setting.Name.Equals(field.Name, StringComparison.OrdinalIgnoreCase));
            if (setting is null)
            {
                yield return $"policy.{field.Name} is no setting; a policy has {string.Join(", ", Settings.Select(known => JsonNamingPolicy.CamelCase.ConvertName(known.Name)))}.";
            }
            else if (!CanBe(field.Value, setting.PropertyType))
            {
                yield return $"policy.{field.Name} is {field.Value.GetRawText()}; it must be {FormOf(setting)}.";
            }
        }
    }

    private static bool CanBe(JsonElement value, Type type)
    {
        try
        {
            return value.Deserialize(type, Json) is not null || Nullable.GetUnderlyingType(type) is not null;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static string FormOf(PropertyInfo setting) =>
        PoolOptions.BoundsOf(setting.Name) is var (least, most) ? $"a whole number from {least} to {most}, or null for none"
        : setting.PropertyType == typeof(bool) ? "true or false"
        : setting.PropertyType == typeof(TimeSpan) ? "a time such as \"00:00:30\""
        : setting.PropertyType == typeof(TimeSpan?) ? "a time such as \"00:02:00\", or null for the default"
        : setting.Name == nameof(PoolOptions.SecurityGroups) ? "a list of security groups' ids such as [\"sg-0123456789abcdef0\"]"
        : setting.Name == nameof(PoolOptions.Subnets) ? "a list of subnet ids such as [\"subnet-0123456789abcdef0\"]"
        : "an object of texts such as {\"team\":\"net\"}";
}
