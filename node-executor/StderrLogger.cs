using System.Globalization;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor;

/// <summary>One line an event on standard error: time, level, event id, text.</summary>
internal sealed class StderrLogger(LogLevel least, TimeProvider time, TextWriter output) : ILogger
{
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= least;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel))
        {
            return;
        }

        var text = formatter(state, exception) + (exception is null ? "" : " " + exception);
        var line = string.Create(CultureInfo.InvariantCulture,
            $"{time.GetUtcNow():yyyy-MM-ddTHH:mm:ss.fffZ} {logLevel} {eventId.Id} {text.ReplaceLineEndings(" | ")}");
        lock (output)
        {
            output.WriteLine(line);
        }
    }
}
