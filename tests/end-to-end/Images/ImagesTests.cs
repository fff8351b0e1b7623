using AwsVpcCni.Tests.EndToEnd.Cluster;
using AwsVpcCni.Tests.EndToEnd.Harness;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Images;

/// <summary>The images do as containers, with the chart's rights, what the programs do without.</summary>
public sealed class ImagesTests
{
    [Fact]
    public async Task Pods_run_where_the_executor_is_a_container_with_the_charts_rights()
    {
        await ShippedImage.MadeOrSkipAsync();
        await using var cluster = await TestCluster.StartAsync(new ClusterSettings("avcimages") { Nodes = ["nodea"], ExecutorsInContainers = true });
        var node = cluster.Nodes[0];
        var before = await node.SnapshotAsync();
        var (one, two) = (await node.Cri.RunPodAsync("one"), await node.Cri.RunPodAsync("two"));
        Assert.Contains("1 packets received", await node.Cri.ExecAsync(one, "ping", "-c", "1", "-W", "5", two.Address), StringComparison.Ordinal);

        // It has what it writes: the kernel's switches, the table of packet rules, the list by which the runtime finds the plugin.
        Assert.Equal("2", (await Shell.RunAsync("nsenter", "--net=" + node.Netns, "cat", "/proc/sys/net/ipv4/conf/eth0/rp_filter")).Trim());
        Assert.Contains("snat to", await Shell.RunAsync("nsenter", "--net=" + node.Netns, "nft", "list", "table", "ip", "aws-vpc-cni"), StringComparison.Ordinal);
        Assert.DoesNotContain("cannot be set", File.ReadAllText(node.Executor!.LogFile), StringComparison.Ordinal);

        await node.Cri.StopAndRemoveAsync(one);
        await node.Cri.StopAndRemoveAsync(two);
        await Eventually.HoldsAsync("nothing to be left of the pods", TimeSpan.FromSeconds(10), async _ =>
            string.Join('\n', (await node.SnapshotAsync()).LeftOverSince(before)) is { Length: > 0 } left ? left : null);
    }

    [Fact]
    public async Task The_silo_serves_as_nobody_on_a_root_that_it_cannot_write_and_the_plugin_is_installed_without_a_capability()
    {
        await ShippedImage.MadeOrSkipAsync();
        await using var cluster = await TestCluster.StartAsync(new ClusterSettings("avcimages") { Nodes = ["nodea"] });
        var (node, work) = (cluster.Nodes[0], cluster.Work);
        var bin = work.NewFolder("cni-bin");
        var run = await ShippedImage.ImportAsync(node.Containerd, "node-executor");
        await Shell.RunAsync(run[0], [.. run[1..], "--mount", $"type=bind,src={bin},dst=/host/cni-bin,options=rbind:rw", ShippedImage.NameOf("node-executor"), "install", "/app/node-executor", "install", "/app/aws-vpc-cni", "/host/cni-bin/aws-vpc-cni", "/app/cni"]);
        Assert.Equal(await File.ReadAllBytesAsync(Repository.Artifact("plugin", "aws-vpc-cni"), TestContext.Current.CancellationToken), await File.ReadAllBytesAsync(Path.Combine(bin, "aws-vpc-cni"), TestContext.Current.CancellationToken));

        Assert.Equal(["aws-vpc-cni", "bandwidth", "firewall", "loopback", "portmap"], Directory.GetFiles(bin).Select(Path.GetFileName).Order(StringComparer.Ordinal));

        // Beside the cluster's own, on the node: EC2 is not to be reached from there, the store is.
        var data = work.NewFolder("silo-data");
        await Shell.RunAsync("chown", "65532:65532", data);
        File.Copy(work.Path("silo", "token-key.pem.pub"), Path.Combine(data, "key.pub"));
        await Shell.RunAsync("chmod", "a+r", Path.Combine(data, "key.pub"));
        string[] settings = ["AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x", "Cluster__Name=other", "Ec2__Region=eu-west-1", $"Ec2__VpcId={ClusterSettings.VpcId}", "Ec2__Endpoint=http://127.0.0.1:4566", "Storage__Path=/data/silo.db", "NodeApi__TokenKeyPath=/data/key.pub"];
        run = await ShippedImage.ImportAsync(node.Containerd, "silo");
        await using var silo = Daemon.Start(work, "silo-in-container", node.Netns, new Dictionary<string, string>(),
            [.. run, "--mount", $"type=bind,src={data},dst=/data,options=rbind:rw", .. settings.SelectMany(setting => new[] { "--env", setting }), ShippedImage.NameOf("silo"), "silo", "/app/silo"]);
        await silo.ReadyAsync(TimeSpan.FromSeconds(120), async _ =>
        {
            var (_, stdout, stderr) = await Shell.TryAsync("nsenter", "--net=" + node.Netns, "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8441 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3");
            return stdout.StartsWith("HTTP/1.1 200", StringComparison.Ordinal) ? null : (stdout + stderr).Trim();
        });
        Assert.Equal("65532", (await Shell.RunAsync("stat", "-c", "%u", Path.Combine(data, "silo.db"))).Trim());
        Assert.Equal(0, await silo.StopAsync(TimeSpan.FromSeconds(60)));
    }
}
