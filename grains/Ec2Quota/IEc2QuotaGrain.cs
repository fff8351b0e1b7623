using AwsVpcCni.Core.Ec2Quota;

namespace AwsVpcCni.Grains.Ec2Quota;

/// <summary>EC2's token buckets for everybody. Key: <c>account/region</c>.</summary>
public interface IEc2QuotaGrain : IGrainWithStringKey
{
    /// <summary>Takes a permit for one call, to be made at once.</summary>
    /// <param name="priority">Told, and not used yet: first come, first served until the order of need is built (issue 8).</param>
    /// <returns>Zero when granted; else how long to wait before asking again.</returns>
    Task<TimeSpan> TakeAsync(Ec2Action action, CallPriority priority);

    /// <summary>EC2 refused a call of this action for its rate: it falls by half at once and creeps up again. What follows within 5 s belongs to
    /// the same burst and changes nothing.</summary>
    Task ThrottledAsync(Ec2Action action);

    /// <summary>Keeps the grain awake.</summary>
    Task PingAsync();
}
