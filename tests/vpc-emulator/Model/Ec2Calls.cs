namespace AwsVpcCni.VpcEmulator.Model;

/// <summary>EC2 for callers in this process: what stands between a call and the model, as at the HTTP door: bucket, then fault, then latency.</summary>
/// <remarks>One caller at a time, as the model. What hands change, or a neighbour, goes to the model directly.</remarks>
public sealed class Ec2Calls(Throttle throttle, FaultPlan faults, IReadOnlyDictionary<string, int>? latencyMs = null)
{
    public Throttle Throttle => throttle;

    public FaultPlan Faults => faults;

    /// <summary>What a call of this action takes when nothing is wrong.</summary>
    public TimeSpan LatencyOf(string action) =>
        TimeSpan.FromMilliseconds(latencyMs?.GetValueOrDefault(action, latencyMs.GetValueOrDefault("*")) ?? 0);

    /// <summary>A call arrives: spends its token, and meets its fault.</summary>
    /// <param name="action">EC2's name.</param>
    /// <param name="filtered">As in <see cref="Throttle.Take"/>.</param>
    /// <param name="effect">What it does when it gets through.</param>
    /// <returns>When the bucket is empty: a course that is refused already and has no effect.</returns>
    public CallCourse<T> Begin<T>(string action, bool filtered, Func<Vpc, T> effect)
    {
        try
        {
            throttle.Take(action, filtered);
        }
        catch (Ec2Exception refusal)
        {
            return CallCourse<T>.RefusedAtOnce(refusal);
        }

        return Admitted(action, effect);
    }

    /// <summary>The same for a call that has its token.</summary>
    internal CallCourse<T> Admitted<T>(string action, Func<Vpc, T> effect) => new(faults.Next(action), LatencyOf(action), effect);
}
