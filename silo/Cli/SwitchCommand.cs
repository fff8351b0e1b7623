using System.CommandLine;
using System.Globalization;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Silo.Views;

namespace AwsVpcCni.Silo.Cli;

/// <summary><c>ipam hold|frozen|normal [--node ID | --subnet ID] --why TEXT</c> and <c>ipam switches</c>: what may be changed in EC2, at run time.</summary>
internal static class SwitchCommand
{
    /// <summary>One of the three.</summary>
    public static Command Create(SwitchMode mode)
    {
        var node = new Option<string?>("--node") { Description = "Only this node, such as i-0123456789abcdef0. Default: all." };
        var subnet = new Option<string?>("--subnet") { Description = "Only this subnet, such as subnet-0123456789abcdef0. Default: all." };
        var why = new Option<string>("--why") { Description = "Kept with it, and told to pods that wait.", Required = true };
        var who = new Option<string?>("--who") { Description = "Who is behind it. Default: the user of this machine." };
        var ifMatch = new Option<long?>("--if-match") { Description = "Only if policy and switches still have this version. Default: the one that is read just before." };
        return ClusterClient.Command(
            mode.ToString().ToLowerInvariant(),
            mode switch
            {
                SwitchMode.Hold => "Nothing is taken away in EC2: no address returned or asked back, no interface detached or deleted, no leak cleaned up. What pods need is drawn.",
                SwitchMode.Frozen => "Nothing is changed in EC2, and it is only read; pods go on from what nodes hold.",
                _ => "Ends a hold or a freeze of just this target.",
            },
            async (client, parsed) =>
            {
                var target = (parsed.GetValue(node), parsed.GetValue(subnet)) switch
                {
                    (null, null) => OperatorSwitches.All,
                    ({ } one, null) => one,
                    (null, { } one) => one,
                    _ => throw new CommandException("Give --node or --subnet, not both: each is a switch of its own."),
                };
                var (reason, by) = (Asked.Text(parsed.GetValue(why), "--why", Asked.MostWhy), WhoOf(parsed.GetValue(who)));
                await client.Views.CheckTargetAsync(target, mode);
                var expected = parsed.GetValue(ifMatch) ?? (await client.Views.PoliciesAsync()).Version;
                var (isDone, now) = await client.Views.SwitchAsync(new SwitchChange(expected, target, mode, by, reason));
                return isDone ? Of(now) : throw Changed(now, expected);
            },
            Show, node, subnet, why, who, ifMatch);
    }

    /// <summary>What is switched off.</summary>
    public static Command CreateList() => ClusterClient.Command(
        "switches", "What operators have switched off: for all, for nodes, for subnets; since when, by whom and why.", async (client, _) => Of(await client.Views.PoliciesAsync()), Show);

    /// <summary>For a column.</summary>
    public static string? Mode(OperatorSwitch? one) => one?.Mode.ToString().ToLowerInvariant();

    /// <summary>Under a table, so that a forgotten one is seen.</summary>
    public static void Explain(IEnumerable<OperatorSwitch?> switches, TextWriter output)
    {
        foreach (var one in switches.OfType<OperatorSwitch>().Distinct())
        {
            output.WriteLine($"{one}; `ipam normal` ends it.");
        }
    }

    /// <summary>Somebody else was first.</summary>
    public static CommandException Changed(ClusterPolicies now, long expected) =>
        new(string.Create(CultureInfo.InvariantCulture, $"Nothing is changed: policy and switches have version {now.Version} meanwhile, by {now.Last?.Who ?? "nobody"}, and this was for {expected}. Look, and try again."));

    /// <summary>Who is behind a change.</summary>
    public static string WhoOf(string? said) => Asked.Text(said ?? Environment.UserName, "--who", Asked.MostWho);

    private static OperatorSwitch[] Of(ClusterPolicies policies) => [.. policies.Switches ?? []];

    private static void Show(OperatorSwitch[] switches, TextWriter output)
    {
        if (switches.Length == 0)
        {
            output.WriteLine("Nothing is switched off.");
            return;
        }

        Output.WriteTable(
            switches, output,
            ("TARGET", one => one.Target), ("MODE", one => one.Mode.ToString().ToLowerInvariant()), ("SINCE", one => Output.Ago(one.At)), ("WHO", one => one.Who), ("WHY", one => one.Why));
    }
}
