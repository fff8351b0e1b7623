using AwsVpcCni.CniProtocol;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>One request of the plugin.</summary>
/// <param name="Netns">The pod's network namespace; null when there is none, or it could not be opened.</param>
/// <param name="Turn">Its place in the order in which plugins connected.</param>
internal sealed record PluginRequest(ReadOnlyMemory<byte> Environment, ReadOnlyMemory<byte> Stdin, SafeFileHandle? Netns, long Turn);

/// <summary>What the plugin prints, and its exit code.</summary>
/// <param name="Undo">Called when the plugin has gone and cannot be told; null when nothing is to be undone then.</param>
internal sealed record PluginReply(int ExitCode, byte[] Body, Func<Task>? Undo = null)
{
    /// <summary>A DEL, or a STATUS of a node that can serve.</summary>
    internal static readonly PluginReply Nothing = new(0, []);

    internal static PluginReply Of(CniError error, CniVersion? version) => new(1, error.ToJson(version));
}
