using System.CommandLine;
using AwsVpcCni.Grains;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Silo.Ec2;

namespace AwsVpcCni.Silo.Cli;

/// <summary><c>ipam release --cluster NAME [--yes]</c>: the end of an uninstall.</summary>
internal static class ReleaseCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        var cluster = new Option<string>("--cluster") { Description = "The cluster's name, as in its silos' settings (CLUSTER_NAME): it is asked for so that no other one's interfaces are deleted.", Required = true };
        var yes = new Option<bool>("--yes") { Description = "Delete what is left over, after a second look a minute later. Default: only say what there is." };
        var json = new Option<bool>("--json") { Description = "Write JSON, not a table." };
        var command = new Command(
            "release", "What a cluster that is gone has left in EC2: its interfaces that are attached to nothing. Needs no running silo; running silos do it by themselves. Exit code 1 when EC2 refuses to delete one.") { cluster, yes, json };
        command.SetAction(async (parsed, cancellation) =>
        {
            await using var parts = CommandParts.OfStore();
            var own = parts.GetRequiredService<ClusterSettings>();
            if (parsed.GetValue(cluster) != own.ClusterName)
            {
                throw new CommandException($"--cluster {parsed.GetValue(cluster)}: the settings are of cluster {own.ClusterName} (CLUSTER_NAME). Nothing was looked at. Give that name, or the other cluster's settings.");
            }

            try
            {
                var leftovers = new Leftovers(Ec2Setup.Connect(parts), own, TimeProvider.System);
                var seen = await leftovers.LookAsync(cancellation);
                return Write(parsed.GetValue(yes) && seen.Any(one => one.Outcome == LeftoverOutcome.Left)
                    ? [.. seen.Where(one => one.Outcome == LeftoverOutcome.Stays), .. await leftovers.DeleteAsync(seen, cancellation).ToArrayAsync(cancellation)] : [.. seen], parsed.GetValue(json));
            }
            catch (Ec2Exception refusal)
            {
                throw new CommandException(refusal.Message);
            }
        });
        return command;
    }

    private static int Write(Leftover[] all, bool asJson)
    {
        if (asJson)
        {
            Output.WriteJson(all, Console.Out);
        }
        else
        {
            Output.WriteTable(
                all, Console.Out,
                ("INTERFACE", one => one.EniId), ("SUBNET", one => one.SubnetId), ("NODE", one => one.Node), ("ADDRESSES", one => one.Addresses), ("STATE", one => one.Outcome.ToString().ToLowerInvariant()), ("WHY", one => one.Why));
            var (left, refused) = (all.Where(one => one.Outcome == LeftoverOutcome.Left).ToArray(), all.Count(one => one.Outcome == LeftoverOutcome.Refused));
            Console.Out.WriteLine((left.Length, refused) switch
            {
                (0, 0) => "Nothing is left over.",
                (0, _) => $"EC2 refused to delete {refused}: mend the cause, then run it again.",
                _ => $"{left.Length} interfaces with {left.Sum(one => one.Addresses)} addresses are left over; --yes deletes them.",
            });
        }

        return all.Any(one => one.Outcome == LeftoverOutcome.Refused) ? 1 : 0;
    }
}
