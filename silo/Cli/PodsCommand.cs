using System.CommandLine;
using AwsVpcCni.Grains.Node;

namespace AwsVpcCni.Silo.Cli;

/// <summary><c>ipam pods --waiting</c>: pods without an address, each with its reason.</summary>
internal static class PodsCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        var waiting = new Option<bool>("--waiting") { Description = "Those that wait for an address, those that have waited longest first. There is no other list yet: `ipam node ID` has a node's pods.", Required = true };
        return ClusterClient.Command<WaitingPod>(
            "pods", "Pods that wait for an address, with the reason.",
            (client, _) => client.Views.WaitingAsync(), Show, waiting);
    }

    private static void Show(WaitingPod[] pods, TextWriter output) => Output.WriteTable(
        pods, output,
        ("POD", pod => pod.Pod), ("NODE", pod => pod.InstanceId), ("WAITED", pod => (long)pod.WaitedSeconds), ("WHY", pod => pod.Why.Code), ("", pod => pod.Why.Text));
}
