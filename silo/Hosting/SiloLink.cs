namespace AwsVpcCni.Silo.Hosting;

/// <summary>An edge's way to the silos: at the start it is tried again until one answers; afterwards Orleans does so, and this says how it stands.</summary>
internal sealed partial class SiloLink(TimeProvider time, Random random, ILogger<SiloLink> logger) : IClientConnectionRetryFilter, IClusterConnectionStatusObserver
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(2);

    /// <summary>What the last attempt at the start met.</summary>
    public string WhyNot { get; private set; } = "none has been asked yet";

    /// <inheritdoc/>
    public async Task<bool> ShouldRetryConnectionAttempt(Exception exception, CancellationToken cancellationToken)
    {
        var why = exception.InnerException is null ? exception.Message : $"{exception.Message} {exception.GetBaseException().Message}";
        if (why != WhyNot)
        {
            LogNoSilo(why);
            WhyNot = why;
        }

        await Task.Delay(LongestWait * (0.5 + (random.NextDouble() / 2)), time, cancellationToken); // Edges that start together do not come together.
        return true;
    }

    /// <inheritdoc/>
    public void NotifyGatewayCountChanged(int currentNumberOfGateways, int previousNumberOfGateways, bool connectionRecovered) => LogGateways(currentNumberOfGateways, previousNumberOfGateways);

    /// <inheritdoc/>
    public void NotifyClusterConnectionLost() => LogLost();

    [LoggerMessage(EventId = 3011, Level = LogLevel.Warning, Message = "No silo can be reached: {Why} It is tried again each second or two.")]
    private partial void LogNoSilo(string why);

    [LoggerMessage(EventId = 3012, Level = LogLevel.Information, Message = "The gateways of {Now} silos are connected, {Before} before.")]
    private partial void LogGateways(int now, int before);

    [LoggerMessage(EventId = 3013, Level = LogLevel.Warning, Message = "No silo is connected any more. Nodes' calls are refused until one is.")]
    private partial void LogLost();
}
