using System.Diagnostics;
using AwsVpcCni.VpcEmulator.Fabric;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Fabric;

public sealed class CleanUpTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Dispose_leaves_no_namespace()
    {
        var vpc = await TestVpc.StartAsync();
        Assert.Equal([$"{vpc.Prefix}-a", $"{vpc.Prefix}-b", $"{vpc.Prefix}-router"], NamespacesOf(vpc.Prefix));

        await vpc.DisposeAsync();

        Assert.Empty(NamespacesOf(vpc.Prefix));
    }

    [Fact]
    public async Task A_removed_node_leaves_no_namespace_no_process_and_no_port()
    {
        await using var vpc = await TestVpc.StartAsync();
        using var inside = StartSleeper(vpc.PathOf("b"));

        await vpc.Fabric.RemoveNodeAsync("i-b", Cancellation);

        Assert.Equal([$"{vpc.Prefix}-a", $"{vpc.Prefix}-router"], NamespacesOf(vpc.Prefix));
        await AssertKilledAsync(inside);
        Assert.DoesNotContain("p2", (await vpc.RunAsync("router", "ip", "-brief", "link")).Output, StringComparison.Ordinal);
        Assert.DoesNotContain($"{TestVpc.AddressOfB}", (await vpc.RunAsync("router", "nft", "list", "ruleset")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_start_removes_what_an_interrupted_run_has_left()
    {
        var interrupted = await TestVpc.StartAsync(); // Never disposed: its run was killed.
        using var inside = StartSleeper(interrupted.PathOf("a"));
        await using var bystander = await TestVpc.StartAsync();

        await using var next = await VpcFabric.StartAsync(interrupted.Prefix, Cancellation);

        Assert.Equal([$"{interrupted.Prefix}-router"], NamespacesOf(interrupted.Prefix));
        await AssertKilledAsync(inside);
        Assert.True(await bystander.PingAsync("a", TestVpc.AddressOfB, expected: true));
    }

    [Fact]
    public async Task A_prefix_that_could_cover_another_fabrics_namespaces_is_refused() =>
        await Assert.ThrowsAsync<ArgumentException>(() => VpcFabric.StartAsync("demo-2", Cancellation));

    private static Process StartSleeper(string path) => NetworkNamespace.Run(path, () => Process.Start("sleep", "300"));

    private static async Task AssertKilledAsync(Process process)
    {
        await process.WaitForExitAsync(Cancellation).WaitAsync(TimeSpan.FromSeconds(10), TimeProvider.System, Cancellation);
        Assert.Equal(128 + 9, process.ExitCode); // Killed, not run out.
    }

    private static string[] NamespacesOf(string prefix) =>
        [.. Directory.GetFiles("/run/netns", $"{prefix}-*").Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)];
}
