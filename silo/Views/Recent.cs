namespace AwsVpcCni.Silo.Views;

/// <summary>One answer for all who ask within a second, so that the grains are asked once a second however many operators look on. A failure is an answer, too.</summary>
/// <param name="read">Ends by itself in limited time: one at a time is under way.</param>
internal sealed class Recent<T>(Func<Task<T>> read, TimeProvider time)
{
    /// <summary>From the beginning of a read until the next may begin.</summary>
    public static readonly TimeSpan Age = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private Task<T>? _last;
    private long _begun;

    /// <summary>Something was changed just now: who asks next must see it.</summary>
    public void Forget()
    {
        lock (_gate)
        {
            _last = null;
        }
    }

    /// <summary>The answer that there is, or the next one.</summary>
    public Task<T> ReadAsync()
    {
        lock (_gate)
        {
            if (_last is null || (_last.IsCompleted && time.GetElapsedTime(_begun) >= Age))
            {
                _begun = time.GetTimestamp();
                _last = read();
            }

            return _last;
        }
    }
}
