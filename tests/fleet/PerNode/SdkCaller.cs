using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.Tests.Fleet.PerNode;

/// <summary>EC2 as one daemon calls it: by AWS's SDK for Go v2, whose standard retryer makes three attempts, and waits before the second up to 2 s,
/// before the third up to 4 s, by chance. Its own limit on retries (500 tokens, 5 each) is not reached by three attempts, and is left out.</summary>
internal sealed class SdkCaller(Vpc vpc, Ec2Calls ec2, VirtualTime time, Random random, CallCounts counts)
{
    private const int Attempts = 3;

    /// <exception cref="Ec2Exception">EC2 has refused it, at each attempt when it was for its rate.</exception>
    public async Task<T> CallAsync<T>(string action, bool filtered, Func<Vpc, T> effect)
    {
        for (var attempt = 1; ; attempt++)
        {
            var course = ec2.Begin(action, filtered, effect);
            await time.After(course.BeforeEffect);
            course.TakeEffect(vpc);
            await time.After(course.BeforeAnswer);
            switch (course.Answer)
            {
                case CallAnswer<T>.Done(var value):
                    counts.Add(action, isThrottled: false);
                    return value;
                case CallAnswer<T>.Refused({ Code: "RequestLimitExceeded" }) when attempt < Attempts:
                    counts.Add(action, isThrottled: true);
                    await time.After(TimeSpan.FromSeconds(random.NextDouble() * (1 << attempt)));
                    break;
                case CallAnswer<T>.Refused(var why):
                    counts.Add(action, why.Code == "RequestLimitExceeded");
                    throw why;
                default:
                    throw new InvalidOperationException($"{action}: an answer was lost, and no fault was asked for.");
            }
        }
    }
}

/// <summary>What EC2 was asked.</summary>
internal sealed class CallCounts
{
    private readonly SortedDictionary<string, (int All, int Throttled)> _byAction = new(StringComparer.Ordinal);

    /// <summary>In the order in which they were answered; those that were throttled are not in it.</summary>
    public List<string> Answered { get; } = [];

    public IReadOnlyDictionary<string, (int All, int Throttled)> ByAction => _byAction;

    public int All => _byAction.Values.Sum(count => count.All);

    public int Throttled => _byAction.Values.Sum(count => count.Throttled);

    public void Add(string action, bool isThrottled)
    {
        var (all, throttled) = _byAction.GetValueOrDefault(action);
        _byAction[action] = (all + 1, throttled + (isThrottled ? 1 : 0));
        if (!isThrottled)
        {
            Answered.Add(action);
        }
    }
}
