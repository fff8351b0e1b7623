using AwsVpcCni.NodeExecutor.Lease;

namespace AwsVpcCni.NodeExecutor;

/// <summary>Lets a failure that repeats be said at once, and then with its count, at most each minute. From any thread.</summary>
/// <remarks>For one kind of failure, whose texts may differ. No more than <see cref="MaxTexts"/> different ones are said a minute.</remarks>
internal sealed class Repeated(TimeProvider time)
{
    internal const int MaxTexts = 16;
    internal static readonly TimeSpan Period = TimeSpan.FromMinutes(1);

    private readonly Lock gate = new();
    private readonly Dictionary<string, (TimeSpan At, long Unsaid)> said = new(StringComparer.Ordinal);

    /// <summary>It has happened.</summary>
    /// <returns>What the log is to say; null: nothing now.</returns>
    internal string? Say(string text)
    {
        lock (gate)
        {
            var now = BootClock.Now(time);
            var isKnown = said.TryGetValue(text, out var last);
            if (isKnown && now - last.At < Period)
            {
                said[text] = last with { Unsaid = last.Unsaid + 1 };
                return null;
            }

            if (!isKnown && said.Count == MaxTexts)
            {
                var oldest = said.MinBy(one => one.Value.At);
                if (now - oldest.Value.At < Period)
                {
                    return null;
                }

                said.Remove(oldest.Key);
            }

            said[text] = (now, 0);
            return last.Unsaid == 0 ? text : $"{text} ({last.Unsaid} times more since this was said last)";
        }
    }
}
