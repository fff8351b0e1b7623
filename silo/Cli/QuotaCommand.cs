using System.CommandLine;
using System.Globalization;
using AwsVpcCni.Grains.Ec2Quota;

namespace AwsVpcCni.Silo.Cli;

/// <summary><c>ipam quota</c>: how much of EC2's rate limits is left, and who has used it.</summary>
internal static class QuotaCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        var quota = new Option<string?>("--quota") { Description = "ACCOUNT/REGION. Default: by the settings Ec2:AccountId and Ec2:Region." };
        return ClusterClient.Command<ActionBudget>(
            "quota", "The budget of EC2 calls, an action a line: what is there, at which rate it comes back, calls by need and how often one had to wait, since its grain began.",
            async (client, parsed) => await client.Views.QuotaAsync(parsed.GetValue(quota)) ?? throw new CommandException("Which budget? Give --quota ACCOUNT/REGION, or set Ec2__Region as for the silo."),
            Show, quota);
    }

    private static void Show(ActionBudget[] actions, TextWriter output) => Output.WriteTable(
        actions, output,
        ("ACTION", action => action.Action), ("AVAILABLE", action => action.Available), ("SIZE", action => action.Size), ("RATE", action => action.RatePerSecond.ToString("0.##", CultureInfo.InvariantCulture) + "/s"),
        ("FACTOR", action => action.Factor.ToString("0.##", CultureInfo.InvariantCulture)), ("GRANTED", action => Text(action.Granted)), ("WAITED", action => Text(action.ToldToWait)), ("THROTTLED", action => action.Throttled), ("QUEUED", action => action.Queued), ("TURN", action => action.Turn.TotalSeconds.ToString("0.#", CultureInfo.InvariantCulture) + " s"));

    private static string Text(IEnumerable<KeyValuePair<string, long>> counts) =>
        string.Join(' ', counts.Where(one => one.Value > 0).Select(one => string.Create(CultureInfo.InvariantCulture, $"{one.Key}={one.Value}")));
}
