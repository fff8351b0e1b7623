using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Options;

/// <summary>Says at the start which variables have no effect, and has the grains follow the section <c>Pool</c> when its file changes.</summary>
internal sealed partial class PolicyReload(IConfiguration configuration, IOptionsMonitor<PoolOptions> options, ClusterSettings settings, ILogger<PolicyReload> logger) : IHostedService, IDisposable
{
    private IDisposable? _changes;

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var warning in VpcCniEnvironment.Read(configuration).Warnings)
        {
            LogWithoutEffect(warning);
        }

        _changes = Microsoft.Extensions.Primitives.ChangeToken.OnChange(configuration.GetReloadToken, Follow);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public void Dispose() => _changes?.Dispose();

    private void Follow()
    {
        try
        {
            var next = options.CurrentValue.ToPolicy();
            settings.Pool = next;
            LogChanged(next);
        }
        catch (Exception exception) when (exception is OptionsValidationException or InvalidOperationException)
        {
            LogRefused(exception.Message); // Nodes go on with what held before.
        }
    }

    [LoggerMessage(EventId = 2900, Level = LogLevel.Warning, Message = "{Warning}")]
    private partial void LogWithoutEffect(string warning);

    [LoggerMessage(EventId = 2901, Level = LogLevel.Information, Message = "The pool's policy is now {Policy}.")]
    private partial void LogChanged(PoolPolicy policy);

    [LoggerMessage(EventId = 2902, Level = LogLevel.Error, Message = "The changed settings are refused, the pool's policy stays as it was: {Text}")]
    private partial void LogRefused(string text);
}
