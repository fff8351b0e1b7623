using System.CommandLine;
using AwsVpcCni.Grains.Node;

namespace AwsVpcCni.Silo.Cli;

/// <summary><c>ipam node ID</c>: each address or prefix of one node, and where it stands.</summary>
internal static class NodeCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        var node = new Argument<string>("instance-id") { Description = "The node's instance, such as i-0123456789abcdef0." };
        return ClusterClient.Command<BlockLife>(
            "node", "What one node has, is getting and is giving back: each address or prefix with its interface, its state and its pods.",
            async (client, parsed) =>
            {
                var id = parsed.GetValue(node)!;
                return await client.Views.NodeAsync(id) is { } known ? [.. known.Blocks] : throw new CommandException($"{id} is no node of this VPC; `ipam nodes` lists them.");
            },
            Show, node);
    }

    private static void Show(BlockLife[] blocks, TextWriter output) => Output.WriteTable(
        blocks, output,
        ("INTERFACE", life => life.EniId), ("DEVICE", life => life.DeviceIndex), ("SUBNET", life => life.SubnetId), ("STAGE", life => life.Interface),
        ("BLOCK", life => life.Block), ("STAGE", life => life.Stage), ("PODS", life => string.Join(' ', life.Pods)));
}
