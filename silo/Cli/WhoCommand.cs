using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using AwsVpcCni.Grains.History;
using AwsVpcCni.Silo.Views;

namespace AwsVpcCni.Silo.Cli;

/// <summary><c>ipam who ADDRESS [--at TIME]</c>: whose an address is, or was.</summary>
internal static class WhoCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        var address = new Argument<string>("address") { Description = "Such as 10.0.1.17." };
        var at = new Option<string?>("--at") { Description = "The moment, such as 2026-11-29T14:02:00Z; UTC when it names no zone. Default: now, and the latest before." };
        return ClusterClient.Command<AddressHolders>(
            "who", "Which pod has an address, or had it at a moment: by the nodes now, and by the history that the store keeps (Storage:HistoryKept).",
            async (client, parsed) =>
            {
                var asked = Asked.Address(parsed.GetValue(address)!);
                return await client.Views.WhoAsync(asked, Asked.Moment(parsed.GetValue(at), "--at", TimeProvider.System.GetUtcNow())) is { } answer
                    ? [answer]
                    : throw new CommandException($"{asked} is in no subnet of {client.Views.VpcId} and in no history; `ipam subnets` lists them.");
            },
            Show, address, at);
    }

    /// <summary>A table, and under it which nodes may know more.</summary>
    internal static void Show(AddressHolders[] answers, TextWriter output)
    {
        foreach (var answer in answers)
        {
            ImmutableArray<NotHeard> notHeard = answer.NotHeard ?? [];
            if (!answer.Holders.IsEmpty)
            {
                Output.WriteTable(
                    [.. answer.Holders], output,
                    ("POD", row => row.Pod), ("UID", row => row.Pod.Uid), ("NODE", row => row.NodeId), ("SINCE", row => Time(row.Since)), ("UNTIL", row => row.Released is { } end ? Time(end) : "now"),
                    ("SANDBOX", row => row.Sandbox));
            }
            else if (notHeard.IsEmpty)
            {
                output.WriteLine("No pod of a node of ours.");
            }

            foreach (var node in notHeard)
            {
                output.WriteLine(node.Since is { } since
                    ? $"Not known: whether a pod of {node.NodeId} has or had it; its grain has had no report since {Time(since)}."
                    : $"Not known: whether a pod of {node.NodeId} has it; its grain does not answer, or is on a silo of the build before.");
            }
        }
    }

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
}
