using System.Diagnostics;
using System.Text.Json.Nodes;
using AwsVpcCni.Tests.Wiring.Executor;

namespace AwsVpcCni.Tests.Wiring.Chain;

/// <summary>A list of plugins for one pod, executed on a node as libcni does: ours by the executor's socket, the others' as Debian ships them.</summary>
/// <param name="portmapPath">PATH of portmap; the others have the test's.</param>
/// <param name="arguments">What the runtime has for capabilities, by name; each plugin is given those that it declares.</param>
internal sealed class CniChain(
    ExecutorNode node, string container, string netns, string version, string portmapPath, JsonObject arguments, params string[] plugins)
{
    public const string DebianPlugins = "/usr/lib/cni";
    public const string Ours = """{"type":"aws-vpc-cni"}""";
    private const string Name = "aws-cni";

    private readonly JsonObject[] configs = [.. plugins.Select(plugin => JsonNode.Parse(plugin)!.AsObject())];

    /// <summary>Of the whole ADD: what the runtime keeps.</summary>
    public JsonNode Result { get; private set; } = new JsonObject();

    public string Address => Result["ips"]![0]!["address"]!.GetValue<string>().Split('/')[0];

    public string HostVeth => Result["interfaces"]![0]!["name"]!.GetValue<string>();

    /// <summary>Each plugin gets the result of the one before it. Ends at the first that fails.</summary>
    public async Task AddAsync()
    {
        JsonNode? before = null;
        foreach (var config in configs)
        {
            var answer = await CallAsync("ADD", config, before);
            before = answer.ExitCode == 0 ? JsonNode.Parse(answer.Output) : throw new InvalidOperationException($"{config["type"]}: {answer.Output}");
        }

        Result = before!;
    }

    /// <summary>Each plugin gets the whole ADD's result. The first refusal ends it; null: all agree.</summary>
    public async Task<string?> CheckAsync()
    {
        foreach (var config in configs)
        {
            if (await CallAsync("CHECK", config, Result) is { ExitCode: not 0 } answer)
            {
                return $"{config["type"]}: {answer.Output}";
            }
        }

        return null;
    }

    /// <summary>From the last to the first, with the whole ADD's result.</summary>
    public async Task DelAsync()
    {
        foreach (var config in configs.Reverse())
        {
            if (await CallAsync("DEL", config, Result) is { ExitCode: not 0 } answer)
            {
                throw new InvalidOperationException($"{config["type"]}: {answer.Output}");
            }
        }
    }

    private async Task<PluginAnswer> CallAsync(string command, JsonObject plugin, JsonNode? before)
    {
        var config = plugin.DeepClone().AsObject();
        (config["cniVersion"], config["name"]) = (version, Name);
        if (before is not null)
        {
            config["prevResult"] = before.DeepClone();
        }

        var declared = (plugin["capabilities"] as JsonObject ?? []).Where(one => one.Value!.GetValue<bool>() && arguments.ContainsKey(one.Key)).ToList();
        if (declared.Count > 0)
        {
            config["runtimeConfig"] = new JsonObject(declared.Select(one => KeyValuePair.Create(one.Key, arguments[one.Key]?.DeepClone())));
        }

        var environment = PluginClient.Environment(command, container, netns, "web-0");
        var type = plugin["type"]!.GetValue<string>();
        return type == "aws-vpc-cni" ? await PluginClient.AskAsync(node.Socket, environment, config.ToJsonString(), File.Exists(netns) ? netns : null)
            : await RunAsync(
                ["/usr/bin/nsenter", $"--net={TestNode.Path(node.Name)}", Path.Combine(DebianPlugins, type)],
                type == "portmap" ? $"{environment}PATH={portmapPath}\0" : environment, config.ToJsonString());
    }

    /// <summary>A plugin's own program, as a runtime executes it.</summary>
    /// <param name="environment">Over the test's: NAME=value, each with a NUL behind it.</param>
    public static async Task<PluginAnswer> RunAsync(string[] command, string environment, string config)
    {
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        foreach (var variable in environment.Split('\0', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = variable.IndexOf('=', StringComparison.Ordinal);
            start.Environment[variable[..equals]] = variable[(equals + 1)..];
        }

        start.Environment["CNI_PATH"] = DebianPlugins;
        using var process = Process.Start(start)!;
        try
        {
            await process.StandardInput.WriteAsync(config);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // VERSION needs no config: one that does not read it may have ended by now.
        }

        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return new PluginAnswer(process.ExitCode, output);
    }
}
