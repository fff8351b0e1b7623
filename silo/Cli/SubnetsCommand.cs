using System.CommandLine;
using System.Globalization;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Subnet;

namespace AwsVpcCni.Silo.Cli;

/// <summary><c>ipam subnets</c>: what each subnet has left, and who holds the rest.</summary>
internal static class SubnetsCommand
{
    private const int LargestShown = 10; // As in the list over HTTP; --json has all.

    /// <summary>The command.</summary>
    public static Command Create() => ClusterClient.Command<SubnetSummary>(
        "subnets", "What each subnet of the VPC has used, leased, warm, cooling and free, and which nodes hold it.", (client, _) => client.Views.SubnetsAsync(), Show);

    /// <summary>A table, and under it what would help.</summary>
    internal static void Show(SubnetSummary[] subnets, TextWriter output)
    {
        Output.WriteTable(
            subnets, output,
            ("SUBNET", subnet => subnet.SubnetId), ("ZONE", subnet => subnet.Zone), ("CIDR", subnet => subnet.Cidr), ("SIZE", subnet => subnet.Size),
            ("USED", subnet => subnet.Used), ("LEASED", subnet => subnet.Leased), ("ON-PODS", subnet => subnet.OnPods), ("WARM", subnet => subnet.Warm),
            ("COOLING", subnet => subnet.Cooling), ("RESERVED", subnet => subnet.Reserved), ("OTHERS", subnet => subnet.Others), ("FREE", subnet => subnet.Free), ("WHOLE-/28", subnet => subnet.FreePrefixes), ("KEPT", subnet => Kept(subnet)),
            ("FOR", subnet => For(subnet.Role)), ("LEFT", subnet => subnet.Level.ToString().ToLowerInvariant()), ("HOUR", subnet => Signed(subnet.InAnHour)), ("DAY", subnet => Signed(subnet.InADay)), ("DRY", subnet => Dry(subnet.Dry)), ("READ", subnet => Output.Ago(subnet.ReadAt)), ("TOLD", subnet => Output.Ago(subnet.OldestToldAt)), ("SWITCH", subnet => SwitchCommand.Mode(subnet.Switch)), ("HOLDERS", Largest));
        SwitchCommand.Explain(subnets.Select(subnet => subnet.Switch), output);
        foreach (var (subnet, help) in subnets.SelectMany(subnet => subnet.Help.Select(help => (subnet, help))))
        {
            output.WriteLine($"{subnet.SubnetId}: {help.Text}");
        }
    }

    private static string Largest(SubnetSummary subnet) => string.Join(' ', subnet.LargestHolders(LargestShown).Select(holder => $"{holder.Key}={holder.Value}"))
        + (subnet.Holders.Count > LargestShown ? string.Create(CultureInfo.InvariantCulture, $" and {subnet.Holders.Count - LargestShown} more") : "");

    /// <summary>The median, and between what eight in ten lie.</summary>
    internal static string? Dry(DryTime? time) => time switch
    {
        null => null,
        { Median: { Ticks: 0 } } => "now",
        { Early: null } => "not within 7 days",
        _ => $"{In(time.Median)} ({In(time.Early)} to {In(time.Late)})",
    };

    /// <summary>What CIDR reservations keep for prefixes, and for what is named.</summary>
    private static string? Kept(SubnetSummary subnet) => (subnet.KeptForPrefixes, subnet.KeptByName) is (0, 0) ? null : string.Create(CultureInfo.InvariantCulture, $"{subnet.KeptForPrefixes}+{subnet.KeptByName}");

    /// <summary>Whose pods it is for, by its tags.</summary>
    private static string For(SubnetRole role) => role switch
    {
        SubnetRole.Unmarked => "its nodes",
        SubnetRole.Excluded => "no pods",
        SubnetRole.Marked => "the zone",
        _ => "other clusters",
    };

    private static string? Signed(int? change) => change?.ToString("+0;-0;0", CultureInfo.InvariantCulture);

    private static string In(TimeSpan? time) => time switch
    {
        null => "over 7 d",
        { TotalHours: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{time.Value.TotalMinutes:0} min"),
        { TotalDays: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{time.Value.TotalHours:0.0} h"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{time.Value.TotalDays:0.0} d"),
    };
}
