using Microsoft.Extensions.Logging;

namespace AwsVpcCni.Tests.Unit.NodeExecutor;

/// <summary>What was logged, a line each: level, id, text.</summary>
internal sealed class Lines : ILogger
{
    public List<string> Said { get; } = [];

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel))
        {
            Said.Add($"{logLevel} {eventId.Id} {formatter(state, exception)}");
        }
    }
}
