using AwsVpcCni.Tests.Simulation.Scheduling;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.Tests.Simulation;

/// <summary>What product code logs goes into the trace. A defect that it notices itself is the seed's failure.</summary>
internal sealed class SimLog<T>(Scheduler scheduler) : ILogger<T>
{
    private const int Defect = 3241; // CniCommands: the border where any exception becomes a CNI error.

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => scheduler.Trace is not null || logLevel >= LogLevel.Error;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel))
        {
            return;
        }

        scheduler.Trace?.Invoke($"{(TaskScheduler.Current as SimLane)?.Name}: {formatter(state, exception)} {exception?.Message}");
        if (eventId.Id == Defect)
        {
            scheduler.Fail($"the executor has met a defect: {exception}");
        }
    }
}
