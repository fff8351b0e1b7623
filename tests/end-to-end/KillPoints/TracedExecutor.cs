using System.Globalization;
using AwsVpcCni.Tests.EndToEnd.Cluster;
using AwsVpcCni.Tests.EndToEnd.Harness;

namespace AwsVpcCni.Tests.EndToEnd.KillPoints;

/// <summary>A <see cref="Tracer"/> on a node's executor. It ends with that, or lets it go on when this is disposed.</summary>
internal sealed class TracedExecutor : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly Daemon tracer;

    private TracedExecutor(Daemon tracer) => this.tracer = tracer;

    /// <summary>Whether the executor has, by this.</summary>
    public bool HasEnded => tracer.HasExited;

    /// <summary>Each call that it has made since; empty when it is to be killed.</summary>
    public IEnumerable<string> Calls => File.ReadAllText(tracer.LogFile).Split('\n')[1..^1]; // The last line may be half there.

    /// <summary>Ends when every thread is traced.</summary>
    /// <param name="point">Where it is killed; null: nowhere.</param>
    /// <param name="nth">At which of the calls there, from 1.</param>
    public static async Task<TracedExecutor> StartAsync(TestCluster cluster, ClusterNode node, KillPoint? point = null, int nth = 1)
    {
        var name = node.Name + "-tracer";
        File.Delete(cluster.Work.Path(name + ".log"));
        string[] kill = point is null ? [] : [point.IsAfter ? "after" : "before", nth.ToString(CultureInfo.InvariantCulture), point.Site];
        var traced = new TracedExecutor(Daemon.Start(
            cluster.Work, name, null, DotnetRoot.Environment,
            [Environment.ProcessPath!, "trace", node.Executor!.Id.Pid.ToString(CultureInfo.InvariantCulture), node.StateFolder, .. kill]));
        await Eventually.HoldsAsync($"{name} to be attached (log: {traced.tracer.LogFile})", Patience, async cancellation =>
            (await File.ReadAllTextAsync(traced.tracer.LogFile, cancellation)).StartsWith("attached\n", StringComparison.Ordinal) ? null : traced.tracer.LogEnd());
        return traced;
    }

    public Task EndedAsync(CancellationToken cancellation) => tracer.EndedAsync(cancellation);

    public ValueTask DisposeAsync() => tracer.DisposeAsync();
}
