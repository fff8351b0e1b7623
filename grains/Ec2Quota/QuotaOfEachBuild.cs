using AwsVpcCni.Core.Ec2Quota;

namespace AwsVpcCni.Grains.Ec2Quota;

/// <summary>How a permit is asked for while the budget's grain may be on a silo of an older build (ADR 0011).</summary>
internal static class QuotaOfEachBuild
{
    /// <summary>As <see cref="IEc2QuotaGrain.TakeForAsync"/>; one that knows no switches is asked for a turn, and one that knows no turns for a permit.</summary>
    /// <param name="asker">Empty: it takes no turn.</param>
    public static async Task<TimeSpan?> TakeAsync(this IEc2QuotaGrain quota, Ec2Action action, CallPriority priority, string asker, string instanceId, string subnetId)
    {
        try
        {
            return await quota.TakeForAsync(action, priority, asker, instanceId, subnetId);
        }
        catch (TypeLoadException)
        {
            try
            {
                return await quota.TakeInTurnAsync(action, priority, asker);
            }
            catch (TypeLoadException)
            {
                return await quota.TakeAsync(action, priority);
            }
        }
    }
}
