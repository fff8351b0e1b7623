using AwsVpcCni.Grains;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Vpc;

namespace AwsVpcCni.Silo.Hosting;

/// <summary>Pings the VPC's and the quota's grain each 5 s, so that sweeps go on when no node calls. Takes the place of reminders.</summary>
internal sealed partial class KeepAwake(IGrainFactory grains, ClusterSettings settings, TimeProvider time, ILogger<KeepAwake> logger) : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    /// <summary>The loop itself; the host starts it on the thread pool.</summary>
    public async Task PingAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Period, time);
        do
        {
            await PingAsync("VPC", settings.VpcId, () => grains.GetGrain<IVpcGrain>(settings.VpcId).PingAsync(), stopping);
            await PingAsync("quota", settings.QuotaKey, () => grains.GetGrain<IEc2QuotaGrain>(settings.QuotaKey).PingAsync(), stopping);
        }
        while (!stopping.IsCancellationRequested && await timer.WaitForNextTickAsync(stopping));
    }

    /// <inheritdoc/>
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => PingAsync(stoppingToken);

    private async Task PingAsync(string what, string key, Func<Task> ping, CancellationToken stopping)
    {
        try
        {
            await ping().WaitAsync(Period, time, stopping);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The loop sees it at its next wait.
        }
        catch (Exception e)
        {
            // Whatever a grain throws, the next ping may find it well; a loop that ends here would stop the sweeps for good.
            LogPingFailed(what, key, e.GetBaseException().Message);
        }
    }

    [LoggerMessage(EventId = 3001, Level = LogLevel.Warning, Message = "The {What} grain {Key} does not answer its ping: {Why}. Sweeps of EC2 wait until it does.")]
    private partial void LogPingFailed(string what, string key, string why);
}
