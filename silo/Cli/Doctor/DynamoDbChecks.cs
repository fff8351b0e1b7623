using System.Runtime.CompilerServices;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Storage.DynamoDb;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Cli.Doctor;

/// <summary>Whether a silo could use its tables. Each action that it needs is sent: reads of what is not there, and writes under a condition that nothing meets.</summary>
internal sealed class DynamoDbChecks(Sender sender, Tables tables, IOptions<StorageOptions> options, IOptions<SiloNetworkOptions> network)
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(5);

    /// <summary>A line for each table, and for each action on it.</summary>
    public async IAsyncEnumerable<Finding> LookAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        List<(TableKeys Table, string[] Actions)> wanted =
        [
            (tables.OfStore[0], ["Query", "PutItem", "UpdateItem", "DeleteItem"]),
            (tables.OfStore[1], ["DescribeTimeToLive", "Query", "PutItem"]),
            (tables.OfStore[2], ["GetItem", "UpdateItem"]),
        ];
        if (network.Value.Clustering == SiloNetworkOptions.DynamoDb)
        {
            wanted.Add((tables.OfMembership, ["Query", "GetItem", "PutItem", "UpdateItem", "DeleteItem"]));
        }

        foreach (var (table, actions) in wanted)
        {
            var look = await tables.LookAsync(table, cancellation);
            yield return Describe(look);
            foreach (var action in actions)
            {
                yield return look.Wrong is null
                    ? await TryAsync(table, action, cancellation)
                    : new Finding(Name(action, table), Outcome.NotTried, "The table must be in order first.");
            }
        }
    }

    private Finding Describe(TableLook look)
    {
        var name = $"table {look.Table}";
        return look switch
        {
            { Wrong: null, Expires: Tables.Grows } when !options.Value.CreateTables => new Finding(
                name, Outcome.Failed, $"{look.State}, {look.Billing}. Its items do not expire, so that it only grows, and Storage:CreateTables is false: turn its Time to Live on (`silo ipam tables create` does)."),
            { Wrong: null, Expires: Tables.Grows } => new Finding(
                name, Outcome.NotCheckable, $"{look.State}, {look.Billing}. Its items do not expire: the silo turns that on at its start (Storage:CreateTables), for which its role needs dynamodb:UpdateTimeToLive on it. `silo ipam tables create` does it now."),
            { Wrong: null } => new Finding(name, Outcome.Ok, $"{look.State}, {look.Billing}{(look.Expires is { } expires ? $", Time to Live {expires}" : "")}"),
            { IsMissing: true } when options.Value.CreateTables => new Finding(
                name, Outcome.NotCheckable, $"There is none: the silo makes it at its start (Storage:CreateTables), for which its role needs dynamodb:CreateTable on it. `silo ipam tables create` makes it now."),
            _ => new Finding(name, Outcome.Failed, look.Wrong),
        };
    }

    private async Task<Finding> TryAsync(TableKeys table, string action, CancellationToken cancellation)
    {
        try
        {
            await Trial.SendAsync(sender, table, action, "aws-vpc-cni-doctor", Deadline, cancellation);
        }
        catch (StoreException e)
        {
            return new Finding(Name(action, table), Outcome.Failed, e.Message);
        }

        return new Finding(Name(action, table), Outcome.Ok, "allowed");
    }

    private static string Name(string action, TableKeys table) => $"dynamodb:{action} {table.Table}";
}
