using System.Diagnostics;
using System.Globalization;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>An assignment is on the disk before its answer leaves: counted at the silo's system calls.</summary>
public sealed class DurabilityTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task An_ADD_syncs_the_write_ahead_log_between_request_and_answer()
    {
        await using var cluster = await TestCluster.StartAsync(new ClusterSettings("avcdurable") { Nodes = ["nodea"] });
        await using var sandbox = await CniCallOnNode.StartAsync(cluster.Nodes[0], "pod");
        var trace = cluster.Work.Path("syncs");
        using var strace = Process.Start(new ProcessStartInfo(
            "strace", ["-f", "-y", "-ttt", "-e", "trace=fsync,fdatasync", "-o", trace, "-p", cluster.Silo.Daemon!.Id.Pid.ToString(CultureInfo.InvariantCulture)]) { RedirectStandardError = true })!;
        // It says so once it holds all threads.
        while (await strace.StandardError.ReadLineAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(Patience, TestContext.Current.CancellationToken) is { } line && !line.Contains("attached", StringComparison.Ordinal))
        {
        }

        var request = Seconds();
        var added = await sandbox.AddAsync();
        var answer = Seconds();
        strace.Kill();
        await strace.WaitForExitAsync(TestContext.Current.CancellationToken);
        await sandbox.DelAsync();

        Assert.True(added.ExitCode == 0, System.Text.Encoding.UTF8.GetString(added.Stdout));
        var syncs = File.ReadLines(trace).Where(line => line.Contains("silo.db-wal", StringComparison.Ordinal))
            .Select(line => double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture)).Where(at => at >= request && at <= answer).ToList();
        TestContext.Current.SendDiagnosticMessage($"{syncs.Count} syncs of the write-ahead log within an ADD of {(answer - request) * 1000:0.0} ms under strace");
        Assert.NotEmpty(syncs);
    }

    private static double Seconds() => (TimeProvider.System.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds;
}
