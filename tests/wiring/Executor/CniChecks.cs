using System.Text.Json.Nodes;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>CHECK of a pod in a node's namespace, and the answers that a test expects of it.</summary>
internal static class CniChecks
{
    /// <summary>The config of a call with the result of an ADD in it, as a runtime gives it.</summary>
    public static string ConfigWith(string? prevResult, string version = "1.0.0", string keys = "") => new JsonObject(
        JsonNode.Parse($$"""{"cniVersion":"{{version}}","name":"aws-cni","type":"aws-vpc-cni"{{keys}}}""")!.AsObject()
            .Select(key => KeyValuePair.Create(key.Key, key.Value?.DeepClone()))
            .Concat(prevResult is null ? [] : [KeyValuePair.Create("prevResult", JsonNode.Parse(prevResult))])).ToJsonString();

    public static Task<PluginAnswer> CheckAsync(ExecutorNode node, string container, string netns, string config, string ifName = "eth0") =>
        PluginClient.AskAsync(node.Socket, PluginClient.Environment("CHECK", container, netns, "web-0", ifName), config, netns);

    /// <summary>CHECK names all of these, each once, and nothing else.</summary>
    public static void Names(PluginAnswer answer, params string[] wrong)
    {
        Assert.Equal((1, 104), (answer.ExitCode, answer.ErrorCode));
        var said = answer.Message[(answer.Message.IndexOf("made it: ", StringComparison.Ordinal) + 9)..^"Restart the pod if it has no network".Length].TrimEnd(' ', '.');
        Assert.Equal(wrong.Order(StringComparer.Ordinal), said.Split("; ").Order(StringComparer.Ordinal));
    }
}
