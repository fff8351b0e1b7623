using System.CommandLine;
using System.Globalization;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Grains.History;
using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Silo.Cli;

/// <summary><c>ipam who ADDRESS [--at TIME]</c>: whose an address is, or was.</summary>
internal static class WhoCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        var address = new Argument<string>("address") { Description = "Such as 10.0.1.17." };
        var at = new Option<string?>("--at") { Description = "The moment, such as 2026-11-29T14:02:00Z; UTC when it names no zone. Default: now, and the latest before." };
        return ClusterClient.Command<AddressRow>(
            "who", "Which pod has an address, or had it at a moment: by the nodes now, and by the history that the store keeps (Storage:HistoryKept).",
            async (client, parsed) =>
            {
                var text = parsed.GetValue(address)!;
                var asked = Ip.TryParse(text, out var ip) ? ip : throw new CommandException($"{text} is no address such as 10.0.1.17.");
                var answer = await client.Grains.GetGrain<IAddressHistoryGrain>(client.VpcId).WhoAsync(asked, Moment(parsed.GetValue(at), TimeProvider.System.GetUtcNow()));
                return answer is { SubnetId: null, Holders: [] }
                    ? throw new CommandException($"{asked} is in no subnet of {client.VpcId} and in no history; `ipam subnets` lists them.")
                    : [.. answer.Holders];
            },
            Show, address, at);
    }

    /// <summary>The moment that is meant; null for none.</summary>
    /// <exception cref="CommandException">It is no time, or has not come yet.</exception>
    internal static DateTimeOffset? Moment(string? text, DateTimeOffset now)
    {
        if (text is null)
        {
            return null;
        }

        if (!DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var at))
        {
            throw new CommandException($"--at {text} is no time such as 2026-11-29T14:02:00Z.");
        }

        return at <= now ? at : throw new CommandException($"--at {text} has not come yet: it is {now:yyyy-MM-ddTHH:mm:ssZ}.");
    }

    private static void Show(AddressRow[] holders, TextWriter output)
    {
        if (holders.Length == 0)
        {
            output.WriteLine("No pod of a node of ours.");
            return;
        }

        Output.WriteTable(
            holders, output,
            ("POD", row => row.Pod), ("UID", row => row.Pod.Uid), ("NODE", row => row.NodeId), ("SINCE", row => Time(row.Since)), ("UNTIL", row => row.Released is { } end ? Time(end) : "now"),
            ("SANDBOX", row => row.Sandbox));
    }

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
}
