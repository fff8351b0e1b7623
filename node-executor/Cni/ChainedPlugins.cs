using System.Collections.Immutable;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>Plugins of others that follow ours in the list, each with what it needs there.</summary>
internal static class ChainedPlugins
{
    /// <summary>Behind pods' hostPort.</summary>
    internal const string Portmap = "portmap";

    /// <summary>By name; portmap as amazon-vpc-cni-k8s has it. A capability is what the runtime is to tell the plugin of a pod.</summary>
    private static readonly ImmutableSortedDictionary<string, string> Configs = new Dictionary<string, string>
    {
        ["bandwidth"] = """{ "type": "bandwidth", "capabilities": { "bandwidth": true } }""",
        ["firewall"] = """{ "type": "firewall" }""",
        [Portmap] = """{ "type": "portmap", "capabilities": { "portMappings": true }, "snat": true }""",
    }.ToImmutableSortedDictionary(StringComparer.Ordinal);

    /// <summary>A known plugin's entry in the list: JSON in one line.</summary>
    internal static string ConfigOf(string plugin) => Configs[plugin];

    /// <summary>Which plugins follow ours, in their order. Adds what is wrong, with what to do.</summary>
    /// <param name="text">Names with commas between, or none; null: portmap, if it is there.</param>
    /// <param name="directory">Where the runtime finds plugins.</param>
    internal static ImmutableArray<string> Read(string? text, string directory, List<string> errors)
    {
        bool IsThere(string plugin) => File.Exists(Path.Combine(directory, plugin));
        if (text is null)
        {
            return IsThere(Portmap) ? [Portmap] : [];
        }

        ImmutableArray<string> named = [.. text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)];
        if (named is ["none"])
        {
            return [];
        }

        var wrong = named.Select((plugin, index) =>
            !Configs.ContainsKey(plugin)
                ? $"'{plugin}' is none of {string.Join(", ", Configs.Keys)}; none stands alone. For another plugin write a list of your own, whose file name comes before that of {ExecutorSettings.Prefix}CONFLIST"
            : named.IndexOf(plugin) < index ? $"{plugin} stands twice"
            : !IsThere(plugin) ? $"there is no {plugin} in {directory}. Install it there, name the runtime's bin_dir by {ExecutorSettings.Prefix}PLUGIN_DIR, or leave it out"
            : null);
        errors.AddRange(wrong.OfType<string>().Select(what => $"{ExecutorSettings.Prefix}CHAINED={text} is not possible: {what}."));
        return named;
    }
}
