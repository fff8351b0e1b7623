namespace AwsVpcCni.Silo.Hosting;

/// <summary>Notices that this process has stood still so long that others may have declared it dead, and reads the membership table at once:
/// Orleans ends a silo that finds itself dead there.</summary>
/// <remarks>Without it one that woke went on for 10 s, until its own probes had failed, with grains that others had. Their stores' conditions stop
/// these grains; this stops the silo.</remarks>
internal sealed partial class Standstill(IClusterMembershipService membership, TimeProvider time, ILogger<Standstill> logger) : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(2); // Below the three probes after which it is dead.

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Period, time);
        var isDoubted = false;
        for (var last = time.GetTimestamp(); await timer.WaitForNextTickAsync(stoppingToken); last = time.GetTimestamp())
        {
            if (time.GetElapsedTime(last) is var stood && stood > Long)
            {
                isDoubted = true;
                LogStood(stood.TotalSeconds);
            }

            isDoubted = isDoubted && !await TryRefreshAsync(stoppingToken);
        }
    }

    private async Task<bool> TryRefreshAsync(CancellationToken stopping)
    {
        try
        {
            await membership.Refresh(default, stopping).AsTask().WaitAsync(Long, time, stopping); // While it hangs, no other standstill is noticed.
            return true;
        }
        catch (Exception e)
        {
            LogNotRead(e.GetBaseException().Message); // Whatever the table's store throws, the next tick tries again.
            return false;
        }
    }

    [LoggerMessage(EventId = 3002, Level = LogLevel.Warning, Message = "This process has stood still for {Seconds:0.0} s; whether it is still a member is looked up now.")]
    private partial void LogStood(double seconds);

    [LoggerMessage(EventId = 3003, Level = LogLevel.Warning, Message = "The membership table cannot be read, so it is not known whether this silo is still a member: {Why}")]
    private partial void LogNotRead(string why);
}
