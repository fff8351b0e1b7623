using System.Collections.Concurrent;
using System.IO.Enumeration;
using System.Text.Json;

namespace AwsVpcCni.VpcEmulator.Iam;

/// <summary>An IAM policy: what it grants, and which of that has been used.</summary>
/// <remarks>Knows the part of IAM's language that docs/iam uses. What else a document says is refused when it is read, so that nothing in it is
/// passed over: other effects than Allow, actions with wildcards, other operators, conditions on several values at once.</remarks>
public sealed class IamPolicy
{
    private readonly List<Statement> _statements;
    private readonly ConcurrentDictionary<string, byte> _used = new(StringComparer.Ordinal);

    private IamPolicy(List<Statement> statements) => _statements = statements;

    /// <summary>Each action on each resource of each statement, as in <c>Look ec2:DescribeInstances *</c>.</summary>
    public IEnumerable<string> Grants => _statements.SelectMany(statement =>
        from action in statement.Actions
        from resource in statement.Resources
        select $"{statement.Sid} {action} {resource}");

    /// <summary>Those by which something was allowed so far.</summary>
    public IEnumerable<string> Used => _used.Keys;

    /// <summary>The policy of a file.</summary>
    /// <param name="words">What stands for what in it, such as REGION for eu-west-1.</param>
    /// <exception cref="InvalidDataException">It is none, or says more than is understood here; says what.</exception>
    public static IamPolicy Read(string path, IReadOnlyDictionary<string, string> words)
    {
        try
        {
            return Parse(words.Aggregate(File.ReadAllText(path), (text, word) => text.Replace(word.Key, word.Value, StringComparison.Ordinal)));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or NotSupportedException)
        {
            throw new InvalidDataException($"{path}: no policy that can be enforced here. {e.Message}", e);
        }
    }

    /// <summary>The policy of a document.</summary>
    public static IamPolicy Parse(string json)
    {
        using var document = JsonDocument.Parse(json);
        Only(document.RootElement, "Version", "Statement");
        return new IamPolicy([.. document.RootElement.GetProperty("Statement").EnumerateArray().Select(Statement.Of)]);
    }

    /// <summary>Whether a statement grants it, which is then used.</summary>
    public bool Allows(IamRequest request)
    {
        foreach (var statement in _statements)
        {
            if (statement.Granting(request) is { } resource)
            {
                _used.TryAdd($"{statement.Sid} {request.Action} {resource}", 0);
                return true;
            }
        }

        return false;
    }

    private static void Only(JsonElement element, params string[] names)
    {
        if (element.EnumerateObject().FirstOrDefault(member => !names.Contains(member.Name)) is { Value.ValueKind: not JsonValueKind.Undefined } other)
        {
            throw new NotSupportedException($"`{other.Name}` is not understood; {string.Join(", ", names)} are.");
        }
    }

    // IAM writes a list of one without brackets.
    private static List<string> Texts(JsonElement element) =>
        element.ValueKind == JsonValueKind.Array ? [.. element.EnumerateArray().Select(one => one.GetString()!)] : [element.GetString()!];

    private sealed record Statement(string Sid, List<string> Actions, List<string> Resources, List<Condition> Conditions)
    {
        public static Statement Of(JsonElement element)
        {
            Only(element, nameof(Sid), "Effect", "Action", "Resource", "Condition");
            var statement = new Statement(
                element.GetProperty(nameof(Sid)).GetString()!, Texts(element.GetProperty("Action")), Texts(element.GetProperty("Resource")),
                element.TryGetProperty("Condition", out var operators)
                    ? [.. operators.EnumerateObject().SelectMany(one => one.Value.EnumerateObject().Select(key => new Condition(one.Name, key.Name, Texts(key.Value)).Checked()))]
                    : []);
            if (element.GetProperty("Effect").GetString() != "Allow" || statement.Actions.Exists(action => action.Contains('*', StringComparison.Ordinal)))
            {
                throw new NotSupportedException($"Statement {statement.Sid}: only Allow, and only whole actions' names, are understood.");
            }

            return statement;
        }

        /// <summary>The resource by which it grants it; null: it does not.</summary>
        public string? Granting(IamRequest request) =>
            Actions.Contains(request.Action) && (request.Context is null || Conditions.TrueForAll(condition => condition.Holds(request.Context)))
                ? Resources.Find(resource => Like(resource, request.Resource))
                : null;
    }

    private sealed record Condition(string Operator, string Key, List<string> Values)
    {
        public Condition Checked() => Operator is "StringEquals" or "ArnLike" ? this : throw new NotSupportedException($"The operator {Operator} is not understood; StringEquals and ArnLike are.");

        // A key that the request has not makes it false. Of several values one is enough.
        public bool Holds(IReadOnlyDictionary<string, string> context) =>
            context.TryGetValue(Key, out var value) && Values.Exists(wanted => Operator == "ArnLike" ? Like(wanted, value) : wanted == value);
    }

    private static bool Like(string pattern, string text) => FileSystemName.MatchesSimpleExpression(pattern, text, ignoreCase: false);
}

/// <summary>One question that AWS asks IAM before a call; a call has several, and all must be granted.</summary>
/// <param name="Action">As in <c>ec2:CreateTags</c>.</param>
/// <param name="Resource">Its ARN; <c>*</c> where the action has none.</param>
/// <param name="Context">Values by condition key. Null: nobody knows the resource, so that conditions cannot be asked; the call then says what it does not find.</param>
public sealed record IamRequest(string Action, string Resource, IReadOnlyDictionary<string, string>? Context)
{
    /// <summary>The part of AWS's refusal that says who may not do what.</summary>
    /// <param name="caller">The access key id.</param>
    public string Refusal(string account, string caller) =>
        $"User: arn:aws:iam::{account}:user/{caller} is not authorized to perform: {Action}{(Resource == "*" ? "" : $" on resource: {Resource}")} because no identity-based policy allows the {Action} action";
}
