using System.Collections.Immutable;
using AwsVpcCni.NodeExecutor.Lease;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor;

/// <summary>What others have changed and we have put back: the bound of the count's kinds.</summary>
public enum RepairKind
{
    /// <summary>A link's address, or the neighbour that names it.</summary>
    Mac,

    /// <summary>An interface's own address.</summary>
    Address,

    /// <summary>A route.</summary>
    Route,

    /// <summary>A routing rule.</summary>
    Rule,

    /// <summary>One of the kernel's switches.</summary>
    Sysctl,

    /// <summary>The nftables table.</summary>
    Table,

    /// <summary>A link: up or down, its MTU, whether it is there.</summary>
    Link,
}

/// <summary>Counts and says what was as we want it, then changed by somebody else, and then put back. From any thread.</summary>
/// <remarks>What is set for the first time is no repair, nor is what has new orders or settings; those who put things back know.</remarks>
public sealed partial class Repairs(TimeProvider time, ILogger log)
{
    private static readonly RepairKind[] Kinds = Enum.GetValues<RepairKind>();

    private readonly Lock gate = new();
    private readonly Repeated said = new(time);
    private readonly long[] counts = new long[Kinds.Length];
    private readonly TimeSpan[] last = new TimeSpan[Kinds.Length];

    /// <summary>It has been put back.</summary>
    /// <param name="what">As the kernel's step: <c>add rule ...</c>.</param>
    public void Made(RepairKind kind, string what)
    {
        lock (gate)
        {
            counts[(int)kind]++;
            last[(int)kind] = BootClock.Now(time);
        }

        if (said.Say(what) is { } line) // Two that put the same thing back and forth are said once a minute.
        {
            LogMade(line);
        }
    }

    /// <summary>Of each kind, in the order of <see cref="RepairKind"/>: how many since the start, and how long ago the last one; null for none.</summary>
    public ImmutableArray<(RepairKind Kind, long Count, TimeSpan? Ago)> Counts()
    {
        lock (gate)
        {
            var now = BootClock.Now(time);
            return [.. Kinds.Select(kind => (kind, counts[(int)kind], counts[(int)kind] == 0 ? (TimeSpan?)null : now - last[(int)kind]))];
        }
    }

    [LoggerMessage(EventId = 3061, Level = LogLevel.Warning, Message = "Somebody had changed it, and it is put back: {What}.")]
    private partial void LogMade(string what);
}
