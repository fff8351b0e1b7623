using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Grains;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Vpc;

namespace AwsVpcCni.Silo.Cli;

/// <summary>What silos that run no more have left in EC2: interfaces of the cluster that are attached to nothing. Running silos delete them by themselves.</summary>
internal sealed class Leftovers(IEc2 ec2, ClusterSettings settings, TimeProvider time)
{
    private const int Tries = 5;
    private static readonly TimeSpan ShortestPause = TimeSpan.FromSeconds(1); // Doubled at each try.

    // A silo that does run has what it makes attached by then; if not, it finds it gone, and makes another.
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMinutes(1);

    private TokenBucket _deletes = TokenBucket.For(Ec2Action.DeleteNetworkInterface, settings.BudgetShare, time.GetUtcNow());

    /// <summary>All of the cluster's interfaces, by their tag, and why what is not left over stays.</summary>
    /// <exception cref="Ec2Exception">EC2 does not tell.</exception>
    public async Task<ImmutableArray<Leftover>> LookAsync(CancellationToken cancellation)
    {
        var all = ImmutableArray.CreateBuilder<Leftover>();
        string? token = null;
        do
        {
            var (query, from) = (new Ec2InterfaceQuery { VpcId = settings.VpcId }, token);
            var page = await PatientlyAsync(() => ec2.DescribeInterfacesAsync(query, from, cancellation), cancellation);
            all.AddRange(page.Interfaces.Where(eni => eni.Tags.GetValueOrDefault(NodeGrain.ClusterTag) == settings.ClusterName).Select(Of));
            token = page.NextToken;
        }
        while (token is not null);
        return [.. all.OrderBy(one => one.EniId, StringComparer.Ordinal)];
    }

    /// <summary>Looks once more after a minute, and deletes what is left over both times.</summary>
    /// <returns>Each as it came to its end.</returns>
    public async IAsyncEnumerable<Leftover> DeleteAsync(ImmutableArray<Leftover> seen, [EnumeratorCancellation] CancellationToken cancellation)
    {
        await Task.Delay(BetweenLooks, time, cancellation);
        var twice = seen.Where(one => one.Outcome == LeftoverOutcome.Left).Select(one => one.EniId).ToHashSet(StringComparer.Ordinal);
        foreach (var one in (await LookAsync(cancellation)).Where(one => one.Outcome == LeftoverOutcome.Left && twice.Contains(one.EniId)))
        {
            yield return await DeleteAsync(one, cancellation);
        }
    }

    private async Task<Leftover> DeleteAsync(Leftover one, CancellationToken cancellation)
    {
        try
        {
            await PatientlyAsync(async () =>
            {
                while (Take() is var wait && wait > TimeSpan.Zero)
                {
                    await Task.Delay(wait, time, cancellation);
                }

                await ec2.DeleteInterfaceAsync(one.EniId, cancellation);
                return true;
            }, cancellation);
        }
        catch (Ec2Exception refusal) when (refusal.Fault == Ec2Fault.NotFound)
        {
            // An earlier answer was lost, or somebody was quicker.
        }
        catch (Ec2Exception refusal)
        {
            return one with { Outcome = LeftoverOutcome.Refused, Why = refusal.Message };
        }

        return one with { Outcome = LeftoverOutcome.Deleted };
    }

    private TimeSpan Take()
    {
        (_deletes, _, var wait) = _deletes.Take(1, time.GetUtcNow());
        return wait;
    }

    /// <summary>Deleting and reading may be done twice, so also an unknown effect is tried again.</summary>
    private async Task<T> PatientlyAsync<T>(Func<Task<T>> call, CancellationToken cancellation)
    {
        for (var (tries, pause) = (1, ShortestPause); ; tries++, pause *= 2)
        {
            try
            {
                return await call();
            }
            catch (Ec2Exception refusal) when (refusal.Fault is Ec2Fault.Throttled or Ec2Fault.EffectUnknown && tries < Tries)
            {
                await Task.Delay(pause, time, cancellation);
            }
        }
    }

    private Leftover Of(Ec2Interface eni)
    {
        var (outcome, why) = eni switch
        {
            _ when VpcGrain.IsLoose(eni, settings.ClusterName) => (LeftoverOutcome.Left, ""),
            { Attachment: { } attachment } => (LeftoverOutcome.Stays, $"attached to {attachment.InstanceId}{(attachment.DeleteOnTermination ? ", and ends with it" : "")}"),
            _ when eni.Tags.GetValueOrDefault(NodeGrain.NoManageTag) == "true" => (LeftoverOutcome.Stays, $"its tag {NodeGrain.NoManageTag} is true"),
            { Status: not "available" } => (LeftoverOutcome.Stays, $"its status is {eni.Status}"),
            _ => (LeftoverOutcome.Stays, $"it has not both tags {NodeGrain.NodeTag} and {NodeGrain.IntentTag}, so no silo has made it"),
        };
        return new Leftover(eni.EniId, eni.SubnetId, eni.Tags.GetValueOrDefault(NodeGrain.NodeTag), eni.Held.Sum(block => block.Size) + 1, outcome, why);
    }
}

/// <summary>An interface with the cluster's tag.</summary>
/// <param name="Node">The instance that it was made for, by its tag.</param>
/// <param name="Addresses">Of the subnet, its own among them.</param>
/// <param name="Why">It stays, or was not deleted.</param>
internal sealed record Leftover(string EniId, string SubnetId, string? Node, int Addresses, LeftoverOutcome Outcome, string Why);

/// <summary>What becomes of an interface.</summary>
internal enum LeftoverOutcome
{
    /// <summary>It is attached, or not a silo's.</summary>
    Stays,

    /// <summary>Nobody has it; it costs its addresses.</summary>
    Left,

    /// <summary>By us.</summary>
    Deleted,

    /// <summary>EC2 did not delete it.</summary>
    Refused,
}
