using System.CommandLine;
using AwsVpcCni.Grains.Node;

namespace AwsVpcCni.Silo.Cli;

/// <summary><c>ipam nodes</c>: what each node holds, and why it does not have what it wants.</summary>
internal static class NodesCommand
{
    /// <summary>The command.</summary>
    public static Command Create() => ClusterClient.Command<NodeSummary>(
        "nodes", "What each node of the VPC holds, and why it does not have what it wants.", async (client, _) => await client.Views.NodesAsync(await client.Views.NodeIdsAsync()), Show);

    private static void Show(NodeSummary[] nodes, TextWriter output)
    {
        Output.WriteTable(
            nodes, output,
            ("NODE", node => node.InstanceId), ("TYPE", node => node.InstanceType), ("ZONE", node => node.Zone), ("LEASED", node => node.Leased),
            ("ON-PODS", node => node.OnPods), ("WARM", node => node.Warm), ("COOLING", node => node.Cooling), ("CAPACITY", node => node.Capacity), ("MAX-PODS", node => node.MaxPods),
            ("WAITING", node => node.Waiting), ("REPORT", node => Output.Ago(node.LastReport)),
            ("SUBNETS", node => string.Join(' ', node.Subnets.Select(subnet => $"{subnet.Key}={subnet.Value.OnPods + subnet.Value.Cooling + subnet.Value.Warm}"))),
            ("SWITCH", node => SwitchCommand.Mode(node.Switch)), ("TROUBLE", node => node.Trouble), ("LIMITS", node => node.Limits));
        SwitchCommand.Explain(nodes.Select(node => node.Switch), output);
    }
}
