using AwsVpcCni.Tests.EndToEnd.Harness;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Containerd;

/// <summary>The harness itself, with Debian's CNI plugins in place of ours: what fails here is not the product's fault.</summary>
public sealed class ContainerdNodeTests
{
    private const string WorkName = "harness";
    private const string NamespaceName = "avc-harness";

    [Fact]
    public async Task Pods_get_addresses_talk_to_each_other_and_leave_nothing()
    {
        await using var work = await WorkFolder.ClaimAsync(WorkName);
        await using (var node = await StartAsync(work))
        {
            Assert.StartsWith("containerd ", await node.Cri.VersionAsync(), StringComparison.Ordinal);
            var (one, two) = (await node.Cri.RunPodAsync("one"), await node.Cri.RunPodAsync("two"));

            Assert.Equal(("10.99.0.2", "10.99.0.3"), (one.Address, two.Address));
            Assert.Contains("inet 10.99.0.2/24", await node.Cri.ExecAsync(one, "ip", "addr", "show", "eth0"), StringComparison.Ordinal);
            Assert.Contains("1 packets received", await node.Cri.ExecAsync(one, "ping", "-c", "1", "-W", "5", two.Address), StringComparison.Ordinal);
            Assert.Equal(7, (await node.Cri.TryExecAsync(one, "sh", "-c", "exit 7")).ExitCode);

            await node.Cri.StopAndRemoveAsync(one);
            await node.Cri.StopAndRemoveAsync(two);

            Assert.Equal("lo", await LinksAsync());
            Assert.Empty(await node.Cri.ListAsync());
        }

        AssertNothingIsLeft(work);
    }

    [Fact]
    public async Task Pods_go_on_when_containerd_is_restarted()
    {
        await using var work = await WorkFolder.ClaimAsync(WorkName);
        await using var node = await StartAsync(work);
        var pod = await node.Cri.RunPodAsync("stays");

        await node.RestartAsync();

        Assert.Equal([pod.Sandbox], await node.Cri.ListAsync());
        Assert.Contains(pod.Address, await node.Cri.ExecAsync(pod, "ip", "addr"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_next_run_cleans_up_after_an_interrupted_one()
    {
        string folder;
        string[] before = Directory.Exists("/run/netns") ? [.. PodNamespaces()] : [];
        await using (var work = await WorkFolder.ClaimAsync(WorkName))
        {
            folder = work.Path("node");
            var node = await StartAsync(work);
            await node.Cri.RunPodAsync("orphan");
            Assert.NotEmpty(PodNamespaces().Except(before));
            Assert.NotEmpty(ContainerdLeftovers.Shims(folder));
            Assert.NotEmpty(ContainerdLeftovers.MountsUnder(folder));

            await node.KillAsync(); // And nothing else: what a Ctrl+C in the middle leaves. The claim's end does what the next claim would.
        }

        Assert.Empty(ContainerdLeftovers.Shims(folder));
        Assert.Empty(ContainerdLeftovers.MountsUnder(folder));
        Assert.False(Directory.Exists(folder));
        Assert.Empty(PodNamespaces().Except(before));
        Assert.False(File.Exists("/run/netns/" + NamespaceName));
    }

    [Fact]
    public async Task Two_runs_at_a_time_are_kept_apart()
    {
        await using var work = await WorkFolder.ClaimAsync(WorkName);

        var refusal = await Assert.ThrowsAsync<InvalidOperationException>(() => WorkFolder.ClaimAsync(WorkName));

        Assert.Contains("Another run", refusal.Message, StringComparison.Ordinal);
    }

    private static async Task<ContainerdNode> StartAsync(WorkFolder work)
    {
        var netns = await work.AddNamespaceAsync(NamespaceName);
        string[] plugins = [Path.Combine(ContainerdNode.DebianPlugins, "ptp"), Path.Combine(ContainerdNode.DebianPlugins, "host-local")];
        var node = await ContainerdNode.StartAsync(work, new ContainerdSettings("node", netns, plugins));
        await File.WriteAllTextAsync(Path.Combine(node.ConfFolder, "10-ptp.conflist"), $$"""
            {
              "cniVersion": "1.0.0",
              "name": "harness",
              "plugins": [
                {
                  "type": "ptp",
                  "ipam": {
                    "type": "host-local",
                    "dataDir": "{{work.Path("host-local")}}",
                    "ranges": [[{ "subnet": "10.99.0.0/24" }]],
                    "routes": [{ "dst": "0.0.0.0/0" }]
                  }
                }
              ]
            }
            """);
        await node.NetworkReadyAsync();
        return node;
    }

    private static IEnumerable<string> PodNamespaces() => Directory.EnumerateFiles("/run/netns", "cni-*");

    private static async Task<string> LinksAsync() =>
        string.Join(' ', (await Shell.RunAsync("ip", "-n", NamespaceName, "-br", "link")).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Split(' ')[0]));

    private static void AssertNothingIsLeft(WorkFolder work)
    {
        Assert.Empty(ContainerdLeftovers.Shims(work.Path("node")));
        Assert.Empty(ContainerdLeftovers.MountsUnder(work.Path("node")));
        Assert.Empty(Directory.EnumerateFiles(work.Path("host-local", "harness"), "10.*"));
    }
}
