using System.Collections.Immutable;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;

namespace AwsVpcCni.Grains.Ec2Quota;

/// <summary>EC2's token buckets for everybody. Key: <c>account/region</c>.</summary>
public interface IEc2QuotaGrain : IGrainWithStringKey
{
    /// <summary>Takes a permit for one call, to be made at once.</summary>
    /// <param name="priority">The less a call is needed, the more of the bucket it leaves to others (<see cref="OrderOfNeed"/>).</param>
    /// <returns>Zero when granted; else how long to wait before asking again.</returns>
    Task<TimeSpan> TakeAsync(Ec2Action action, CallPriority priority);

    /// <summary>The same in turn: who has to wait gets a place behind those who came before.</summary>
    /// <param name="asker">Whose place it is: one an action.</param>
    /// <returns>Zero when granted; else how far its turn is away. It loses its place unless it asks again by then, or within <see cref="CallQueue.AskAgain"/>.</returns>
    Task<TimeSpan> TakeInTurnAsync(Ec2Action action, CallPriority priority, string asker);

    /// <summary>The same for a call that is about a node's interface in a subnet: nothing is granted that operators have switched off there.</summary>
    /// <returns>Null: they have.</returns>
    Task<TimeSpan?> TakeForAsync(Ec2Action action, CallPriority priority, string asker, string instanceId, string subnetId);

    /// <summary>How far away the turn of a pod that waits is, by each way to an address. The asker gets its place on the way that is shorter, so that
    /// those who ask together do not all take the same one.</summary>
    /// <param name="newInterfaceTakes">A new interface, besides its turns.</param>
    Task<ExpectedWaits> ExpectAsync(string asker, TimeSpan newInterfaceTakes);

    /// <summary>EC2 refused a call of this action for its rate: it falls by half at once and creeps up again. What follows within 5 s belongs to
    /// the same burst and changes nothing.</summary>
    Task ThrottledAsync(Ec2Action action);

    /// <summary>What an operator sees of the buckets.</summary>
    Task<ImmutableArray<ActionBudget>> SummarizeAsync();

    /// <summary>Keeps the grain awake.</summary>
    Task PingAsync();
}

/// <summary>The budget of one EC2 action.</summary>
/// <param name="Size">Most permits that it holds: our share of AWS's bucket.</param>
/// <param name="RatePerSecond">Permits that come back each second, as it is now.</param>
/// <param name="Available">Permits that are there.</param>
/// <param name="Factor">Of the usual rate; below 1 since EC2 has throttled the action.</param>
/// <param name="Granted">Calls by need, since the grain was activated.</param>
/// <param name="ToldToWait">The same of those that had to ask again.</param>
/// <param name="Throttled">Calls that EC2 has refused for their rate, since the grain was activated.</param>
/// <param name="Queued">Askers that have a place in the queue, of all needs. 0 from a silo of before it was told.</param>
/// <param name="Turn">How far away the turn of a pod's call would be that is asked for now.</param>
/// <param name="WaitedSeconds">By need, from their place in the queue to their permit: of all calls that got one, since the grain was activated. Null from a silo of before it was told.</param>
[GenerateSerializer, Immutable]
public sealed record ActionBudget(
    [property: Id(0)] string Action, [property: Id(1)] int Size, [property: Id(2)] double RatePerSecond, [property: Id(3)] int Available, [property: Id(4)] double Factor,
    [property: Id(5)] ImmutableSortedDictionary<string, long> Granted, [property: Id(6)] ImmutableSortedDictionary<string, long> ToldToWait, [property: Id(7)] long Throttled = 0, [property: Id(8)] int Queued = 0, [property: Id(9)] TimeSpan Turn = default, [property: Id(10)] ImmutableSortedDictionary<string, double>? WaitedSeconds = null);
