using System.CommandLine;
using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Silo.Api;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Views;

namespace AwsVpcCni.Silo.Cli;

/// <summary><c>ipam policy get|set|unset</c>: what nodes should hold, read and changed at run time.</summary>
internal static class PolicyCommand
{
    private static readonly PropertyInfo[] Settings = typeof(PoolOptions).GetProperties();

    /// <summary>The command.</summary>
    public static Command Create() => new("policy", "What nodes should hold: the policy that operators have set for all nodes or one, else that of the silos' settings.") { Get(), Set(), Unset() };

    /// <summary>The policy that a change makes of another one: what it does not name stays.</summary>
    /// <param name="changes">NAME=VALUE each.</param>
    /// <exception cref="CommandException">All that is wrong, each with its name, its value and what it may be.</exception>
    internal static async Task<PoolPolicy> ChangedAsync(PoolPolicy before, IEnumerable<string> changes)
    {
        var body = JsonSerializer.SerializeToNode(before, JsonSerializerOptions.Web)!.AsObject();
        foreach (var unknown in body.Select(field => field.Key).Where(name => Find(name) is null).ToArray())
        {
            body.Remove(unknown); // Of a newer silo.
        }

        var named = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var change in changes)
        {
            var (name, value) = change.Split('=', 2) is [{ Length: > 0 } left, var right] ? (left, right) : throw new CommandException($"{change} is no NAME=VALUE, such as warmIps=2.");
            if (!named.Add(name))
            {
                throw new CommandException($"{name} is given twice; give each name once.");
            }

            body[JsonNamingPolicy.CamelCase.ConvertName(Find(name)?.Name ?? name)] = Value(value, Find(name)?.PropertyType);
        }

        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(new JsonObject { ["policy"] = body, ["who"] = "x", ["why"] = "x" }.ToJsonString()));
        var (read, errors) = await PolicyBody.ReadAsync(stream, takesAway: false, CancellationToken.None);
        return read?.Policy?.ToPolicy() ?? throw new CommandException(errors);
    }

    private static Command Get()
    {
        var (node, label) = (Node(), Label());
        return ClusterClient.Command<PolicyView>("get", "The policy, its version, and where it is set.", async (client, parsed) => [View(await client.Views.PoliciesAsync(), TargetOf(parsed.GetValue(node), parsed.GetValue(label)))], Show, node, label);
    }

    private static Command Set()
    {
        var (node, label, who, why, ifMatch) = (Node(), Label(), Who(), Why(), IfMatch());
        var changes = new Argument<string[]>("changes")
        {
            Arity = ArgumentArity.OneOrMore, Description = $"NAME=VALUE each; what is not named stays as it is. Names: {string.Join(", ", Settings.Select(NameOf))}. `none` takes a number away; lists are separated by commas, tags are KEY:VALUE.",
        };
        return ClusterClient.Command(
            "set", "Changes the policy of all nodes, of those with a label, or of one.",
            async (client, parsed) =>
            {
                var (policies, id) = (await client.Views.PoliciesAsync(), TargetOf(parsed.GetValue(node), parsed.GetValue(label)));
                var before = View(policies, id).Policy ?? throw new CommandException("The silo that has the cluster's grain is of an older build and does not tell its settings, from which this would start. Set the whole policy at /v1/policy, or try again when all silos are of this build.");
                return await ChangeAsync(client, policies, parsed.GetValue(ifMatch), new PolicyChange(0, id, await ChangedAsync(before, parsed.GetValue(changes)!), SwitchCommand.WhoOf(parsed.GetValue(who)), WhyOf(parsed.GetValue(why))));
            },
            Show, changes, node, label, why, who, ifMatch);
    }

    private static Command Unset()
    {
        var (node, label, who, why, ifMatch) = (Node(), Label(), Who(), Why(), IfMatch());
        return ClusterClient.Command(
            "unset", "Takes the policy away that operators have set: the settings hold again, or for a node or a label the cluster's policy.",
            async (client, parsed) => await ChangeAsync(client, await client.Views.PoliciesAsync(), parsed.GetValue(ifMatch), new PolicyChange(0, TargetOf(parsed.GetValue(node), parsed.GetValue(label)), null, SwitchCommand.WhoOf(parsed.GetValue(who)), WhyOf(parsed.GetValue(why)))),
            Show, node, label, why, who, ifMatch);
    }

    private static async Task<PolicyView[]> ChangeAsync(ClusterClient client, ClusterPolicies read, long? ifMatch, PolicyChange change)
    {
        if (change.InstanceId is { } id && !PolicyLabels.IsTarget(id) && !read.Nodes.ContainsKey(id) && !(await client.Views.NodeIdsAsync()).Contains(id))
        {
            throw new CommandException($"{id} is no node of {client.Views.VpcId}; `ipam nodes` lists them.");
        }

        var expected = ifMatch ?? read.Version;
        var (isDone, now) = await client.Views.ChangePolicyAsync(change with { ExpectedVersion = expected });
        return isDone ? [View(now, change.InstanceId)] : throw SwitchCommand.Changed(now, expected);
    }

    private static PolicyView View(ClusterPolicies policies, string? node) =>
        (node is not null && policies.Nodes.GetValueOrDefault(node) is { } own ? new PolicyView(policies.Version, PolicyLabels.IsTarget(node) ? "label" : "node", own, policies.Last)
        : policies.Pool is { } pool ? new PolicyView(policies.Version, "cluster", pool, policies.Last)
        : new PolicyView(policies.Version, "settings", policies.OfSettings, policies.Last)) with { Labels = [.. PolicyLabels.In(policies.Nodes)] };

    private static string? TargetOf(string? node, string? label) => (node, label) switch
    {
        (not null, not null) => throw new CommandException("--node and --label are both given; a policy is that of one node or of all that bear a label."),
        (_, { } asked) => PolicyLabels.TargetOf(asked) ?? throw new CommandException($"--label {asked} is no label with its value, such as eks.amazonaws.com/nodegroup=gpu."),
        _ => node,
    };

    private static void Show(PolicyView[] views, TextWriter output)
    {
        foreach (var view in views)
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"version {view.Version}, set by {(view.Source == "settings" ? "the silos' settings" : $"operators for {view.Source switch { "node" => "this node", "label" => "nodes with this label", _ => "all nodes" }}")}"));
            if (view.Labels is not [])
            {
                output.WriteLine($"nodes with one of these labels have another one: {string.Join(", ", view.Labels)} (which holds for a node, its /v1/nodes/ID/policy says)");
            }

            if (view.LastChange is { } last)
            {
                output.WriteLine($"last change {Output.Ago(last.At)}, by {last.Who}: {last.Why}");
            }

            if (view.Policy is { } policy)
            {
                var body = JsonSerializer.SerializeToNode(policy, JsonSerializerOptions.Web)!.AsObject();
                Output.WriteTable([.. body], output, ("NAME", field => field.Key), ("VALUE", field => Text(field.Value)));
            }
        }
    }

    private static string? Text(JsonNode? value) => value switch
    {
        JsonArray list => string.Join(',', list.Select(one => one?.ToString())),
        JsonObject tags => string.Join(',', tags.Select(tag => $"{tag.Key}:{tag.Value}")),
        _ => value?.ToString(),
    };

    /// <summary>As JSON; what cannot be read as its type stays a text, and is refused by its name.</summary>
    private static JsonNode? Value(string text, Type? type)
    {
        var isNone = text is "" or "none";
        return type == typeof(int?) ? (isNone ? null : int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : text)
            : type == typeof(bool) ? (bool.TryParse(text, out var flag) ? flag : text)
            : type == typeof(IList<string>) ? new JsonArray([.. (isNone ? [] : text.Split(',')).Select(one => (JsonNode)one)])
            : type == typeof(Dictionary<string, string>) && (isNone || text.Split(',').All(tag => tag.Contains(':', StringComparison.Ordinal)))
                ? new JsonObject((isNone ? [] : text.Split(',')).Select(tag => tag.Split(':', 2)).DistinctBy(tag => tag[0]).Select(tag => KeyValuePair.Create(tag[0], (JsonNode?)tag[1])))
            : type == typeof(TimeSpan?) && isNone ? null
            : text;
    }

    private static PropertyInfo? Find(string name) => Settings.FirstOrDefault(setting => setting.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    private static string NameOf(PropertyInfo setting) => JsonNamingPolicy.CamelCase.ConvertName(setting.Name);

    private static string WhyOf(string? said) => Asked.Text(said, "--why", Asked.MostWhy);

    private static Option<string?> Label() => new("--label") { Description = "The policy of nodes that bear this label, KEY=VALUE, such as eks.amazonaws.com/nodegroup=gpu. One node's own wins over it, and of several labels the first by name." };

    private static Option<string?> Node() => new("--node") { Description = "The policy of this node, such as i-0123456789abcdef0. Default: of all nodes." };

    private static Option<string?> Who() => new("--who") { Description = "Who is behind it. Default: the user of this machine." };

    private static Option<string> Why() => new("--why") { Description = "Kept with it.", Required = true };

    private static Option<long?> IfMatch() => new("--if-match") { Description = "Only if policy and switches still have this version. Default: the one that is read just before." };

    /// <summary>What an answer shows.</summary>
    /// <param name="Source">node, label, cluster or settings: where the policy is set.</param>
    /// <param name="Policy">Null when it is that of the settings of a silo that does not tell them.</param>
    internal sealed record PolicyView(long Version, string Source, PoolPolicy? Policy, PolicyNote? LastChange)
    {
        /// <summary>Those that have a policy.</summary>
        public string[] Labels { get; init; } = [];
    }
}
