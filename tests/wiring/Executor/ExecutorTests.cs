using System.Diagnostics;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>The executor's process between a plugin and a silo, in a namespace of its own.</summary>
public sealed class ExecutorTests
{
    [Fact]
    public async Task A_pod_gets_an_address_can_be_reached_and_leaves_nothing()
    {
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var before = node.Snapshot();
        var pod = node.AddPod("pod");

        var add = await PluginClient.AddAsync(node.Socket, "c1", pod);
        Assert.Equal("1.0.0", add.Json.GetProperty("cniVersion").GetString());
        Assert.All(add.Json.GetProperty("interfaces").EnumerateArray(), link => Assert.Matches("^[0-9a-f]{2}(:[0-9a-f]{2}){5}$", link.GetProperty("mac").GetString()));
        node.Ping(add.Address);
        var wired = node.Snapshot();
        Assert.Equal(add, await PluginClient.AddAsync(node.Socket, "c1", pod)); // A repetition changes nothing.
        Assert.Equal(wired, node.Snapshot());
        node.Ping(add.Address);

        Assert.Equal(new PluginAnswer(0, ""), await PluginClient.DelAsync(node.Socket, "c1", pod));
        Assert.Equal(new PluginAnswer(0, ""), await PluginClient.DelAsync(node.Socket, "c1")); // Again, without namespace.
        await node.SettleAsync(before);
    }

    /// <summary>A sender that never pauses keeps its way to where a host port led, past the address's rest: the next pod there would get it.</summary>
    [Fact]
    public async Task Connections_to_addresses_whose_pods_have_gone_are_forgotten_by_the_next_executor_when_the_last_one_had_no_time()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var (gone, stays) = (node.AddPod("gone"), node.AddPod("stays"));
        var deleted = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("deleted"));
        var unseen = await PluginClient.AddAsync(node.Socket, "c2", gone);
        var lives = await PluginClient.AddAsync(node.Socket, "c3", stays);
        Assert.Equal(new PluginAnswer(0, ""), await PluginClient.DelAsync(node.Socket, "c1"));
        await executor.KillAsync();
        node.DeletePod(gone);
        string[] addresses = [deleted.Address, unseen.Address, lives.Address];
        foreach (var address in addresses)
        {
            Run("conntrack", "-I", "-p", "udp", "-s", "192.0.2.1", "-d", address, "--sport", "4000", "--dport", "53", "-t", "600");
        }

        string Run(params string[] words) => TestNode.Run("nsenter", [$"--net={TestNode.Path(node.Name)}", .. words]);
        string[] Tracked() => [.. addresses.Where(address => Run("conntrack", "-L").Contains($"dst={address} ", StringComparison.Ordinal))];
        Assert.Equal(addresses, Tracked());

        await node.RunAsync();
        for (var tries = 0; Tracked().Length > 1; tries++)
        {
            Assert.True(tries < 100, $"still tracked after 10 s: {string.Join(", ", Tracked())}");
            await Task.Delay(100, TestContext.Current.CancellationToken);
        }

        Assert.Equal([lives.Address], Tracked());
    }

    [Fact]
    public async Task A_DEL_for_a_sandbox_that_nobody_has_seen_and_with_a_broken_config_succeeds()
    {
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();

        Assert.Equal(new PluginAnswer(0, ""), await PluginClient.DelAsync(node.Socket, "c9", config: "{"));
    }

    [Fact]
    public async Task The_runtime_is_told_of_the_network_only_when_an_address_can_be_given()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Silo.IsAway = true;
        var executor = await node.RunAsync();
        await executor.SaysAsync("No silo answers");
        Assert.False(File.Exists(node.Conflist));

        node.Silo.IsAway = false;
        await executor.SaysAsync("This node can serve");
        Assert.Contains("\"type\": \"aws-vpc-cni\"", await File.ReadAllTextAsync(node.Conflist, TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Equal("644", TestNode.Run("stat", "-c", "%a", node.Conflist).Trim());
        Assert.Equal("600", TestNode.Run("stat", "-c", "%a", node.Socket).Trim());
    }

    [Fact]
    public async Task A_list_that_somebody_has_changed_is_written_anew_and_the_log_says_where_changes_belong()
    {
        await using var node = await ExecutorNode.StartAsync();
        Directory.CreateDirectory(Path.GetDirectoryName(node.Conflist)!);
        await File.WriteAllTextAsync(node.Conflist, "hers", TestContext.Current.CancellationToken);
        var executor = await node.RunAsync();

        Assert.Contains("AWS_VPC_CNI_CHAINED", await executor.SaysAsync($"{node.Conflist} was another list"), StringComparison.Ordinal);
        await executor.SaysAsync("Behind our plugin: nothing.");
        await executor.SaysAsync("Pods' host ports lead nowhere");
        Assert.DoesNotContain("hers", await File.ReadAllTextAsync(node.Conflist, TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_every_silo_away_pods_come_and_go_and_no_address_is_used_twice()
    {
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        node.Silo.IsAway = true;

        var first = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"), "web-1");
        Assert.Equal(0, (await PluginClient.DelAsync(node.Socket, "c1")).ExitCode);
        var second = await PluginClient.AddAsync(node.Socket, "c2", node.AddPod("p2"), "web-2");
        node.Ping(second.Address);
        Assert.NotEqual(first.Address, second.Address); // The first rests.

        var told = node.Silo.ReportAsync(report => report.Claims.Any(claim => claim.Sandbox.ContainerId == "c2"));
        node.Silo.IsAway = false;
        Assert.Equal("c1", Assert.Single((await told).Ended).Sandbox.ContainerId);
    }

    [Fact]
    public async Task After_a_kill_the_next_executor_knows_what_is_wired()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var before = node.Snapshot();
        var stays = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"), "web-1");
        var goes = node.AddPod("p2");
        await PluginClient.AddAsync(node.Socket, "c2", goes, "web-2");
        await executor.KillAsync();
        node.DeletePod(goes); // Its DEL finds no executor; its link goes with its namespace, its rules stay.

        var report = node.Silo.ReportAsync(report => report.Stamp.Incarnation == 2);
        node.Silo.IsAway = true; // The start needs no silo.
        await node.RunAsync();
        node.Ping(stays.Address);
        node.Silo.IsAway = false;
        Assert.Equal(("c1", stays.Address), ((await report).Claims.Single().Sandbox.ContainerId, (await report).Claims.Single().Address.ToString()));
        Assert.Equal("c2", Assert.Single((await report).Ended).Sandbox.ContainerId);
        await PluginClient.DelAsync(node.Socket, "c1");
        await node.SettleAsync(before);
    }

    [Fact]
    public async Task A_sandbox_that_goes_without_a_DEL_is_noticed_and_nothing_is_left()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var before = node.Snapshot();
        var pod = node.AddPod("p1");
        var add = await PluginClient.AddAsync(node.Socket, "c1", pod);
        node.DeletePod(pod);

        Assert.Contains(add.Address, await executor.SaysAsync("has gone without a DEL"), StringComparison.Ordinal);
        await node.SettleAsync(before);
    }

    [Fact]
    public async Task A_pod_stopped_before_a_start_whose_namespace_goes_only_after_it_is_noticed_soon()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var before = node.Snapshot();
        var pod = node.AddPod("p1");
        var add = await PluginClient.AddAsync(node.Socket, "c1", pod);
        await executor.KillAsync(); // Its DEL finds no executor, and the kernel takes a namespace away when it comes to it.
        executor = await node.RunAsync();
        node.DeletePod(pod);

        var began = Stopwatch.GetTimestamp();
        Assert.Contains(add.Address, await executor.SaysAsync("has gone without a DEL"), StringComparison.Ordinal);
        Assert.True(Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(8), "Two looks, as for a pod of this start, take 10 s and more.");
        await node.SettleAsync(before);
    }

    [Fact]
    public async Task A_damaged_lease_file_keeps_pods_wired_and_is_kept_aside()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var pod = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"));
        Assert.Equal(0, (await executor.TerminateAsync()).ExitCode);
        await File.WriteAllTextAsync(node.LeaseFile, "nonsense\n", TestContext.Current.CancellationToken);

        var report = node.Silo.ReportAsync(report => report.Claims.Length == 1);
        executor = node.Launch();
        Assert.Contains("its first line is damaged", await executor.SaysAsync("is not used"), StringComparison.Ordinal);
        Assert.Equal(pod.Address, (await report).Claims.Single().Address.ToString());
        node.Ping(pod.Address);
        Assert.Equal("nonsense\n", await File.ReadAllTextAsync(node.LeaseFile + ".aside", TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_wiring_that_fails_leaves_nothing_and_says_why()
    {
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var before = node.Snapshot();

        var add = await PluginClient.AddAsync(node.Socket, "c1", "/dev/null");
        Assert.Equal((1, 100), (add.ExitCode, add.ErrorCode));
        Assert.Contains("network namespace", add.Message, StringComparison.Ordinal);
        Assert.Equal(before, node.Snapshot());
    }

    [Theory]
    [InlineData("{", 6)]
    [InlineData("""{"cniVersion":"9.0.0","name":"aws-cni","type":"aws-vpc-cni"}""", 1)]
    [InlineData("""{"cniVersion":"1.0.0","name":"aws-cni","type":"aws-vpc-cni","mtu":5}""", 7)]
    public async Task A_bad_config_is_refused_with_its_code(string config, int code)
    {
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();

        Assert.Equal(code, (await PluginClient.AddAsync(node.Socket, "c1", "/dev/null", config: config)).ErrorCode);
    }

    [Fact]
    public async Task An_ADD_whose_plugin_is_killed_while_it_waits_is_demand_no_longer_and_leaves_no_link()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Silo.HasNothing = true;
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var before = node.Snapshot();
        var pod = node.AddPod("p1");
        var waits = node.Silo.ReportAsync(report => report.Waiting.Length == 1);
        using (PluginClient.Send(node.Socket, PluginClient.Environment("ADD", "c1", pod, "web"), PluginClient.Config, pod))
        {
            await waits;
            await node.SettleAsync(shown => shown != before); // Its pair is made beside the question.
        }

        await node.Silo.ReportAsync(report => report.Waiting.IsEmpty && report.SettledNumber >= waits.Result.Waiting[0].Stamp.Number);
        await node.SettleAsync(before);
    }

    [Fact]
    public async Task A_DEL_ends_an_ADD_that_waits_and_leaves_no_link()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Silo.HasNothing = true;
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var before = node.Snapshot();
        var waits = node.Silo.ReportAsync(report => report.Waiting.Length == 1);
        var add = PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"));
        await waits;
        await PluginClient.DelAsync(node.Socket, "c1");

        Assert.Equal(11, (await add).ErrorCode);
        Assert.Equal(before, node.Snapshot()); // Before the ADD is answered: the runtime may use the name again.
    }

    [Fact]
    public async Task A_token_of_another_machine_is_refused()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Silo.ImdsInstance = "i-0000000000000000b";

        var (exitCode, said) = await node.Launch().EndAsync();
        Assert.Equal(1, exitCode);
        Assert.Contains("is a token for i-0000000000000000a, and this machine is i-0000000000000000b", said, StringComparison.Ordinal);
        Assert.Empty(node.Silo.Asked);
    }

    [Theory]
    [InlineData("eni")]
    [InlineData("aws")] // amazon-vpc-cni-k8s with a prefix that this executor is not told of.
    public async Task A_node_with_pods_that_another_program_has_wired_is_refused_and_they_are_left_as_they_are(string prefix)
    {
        await using var node = await ExecutorNode.StartAsync();
        var veth = prefix + "0123456789a";
        node.Ip("link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", Path.GetFileName(node.AddPod("theirs")));
        node.Ip("link", "set", veth, "up");
        node.Ip("route", "add", "10.0.0.30/32", "dev", veth);
        node.Ip("rule", "add", "priority", "512", "to", "10.0.0.30", "lookup", "main");
        node.Ip("rule", "add", "priority", "1536", "from", "10.0.0.30", "lookup", "2");
        var before = node.Snapshot();

        var (exitCode, said) = await node.Launch().EndAsync();
        Assert.Equal(1, exitCode);
        Assert.Contains($"1 pods on this node were wired by another program: {veth} (10.0.0.30). They are left alone. Drain the node", said, StringComparison.Ordinal);
        Assert.Equal(before, node.Snapshot());
    }

    [Theory]
    [InlineData("""{"AvailableCommands":["/v1/enis","/v1/eni-configs"]}""", true)]
    [InlineData("hello", false)]
    public async Task A_node_on_which_aws_node_runs_is_refused(string said, bool isRefused)
    {
        await using var node = await ExecutorNode.StartAsync();
        var folder = Directory.CreateTempSubdirectory("avc-introspection-");
        await File.WriteAllTextAsync(Path.Combine(folder.FullName, "index.html"), said, TestContext.Current.CancellationToken);
        using var daemon = Process.Start("nsenter", [$"--net={TestNode.Path(node.Name)}", "busybox", "httpd", "-f", "-p", "127.0.0.1:61679", "-h", folder.FullName])!;
        try
        {
            for (var began = Stopwatch.GetTimestamp(); !TestNode.Run("ss", "-N", node.Name, "-Hltn").Contains(":61679", StringComparison.Ordinal); await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, TestContext.Current.CancellationToken))
            {
                Assert.True(Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(20), "busybox does not listen");
            }

            if (!isRefused)
            {
                await node.RunAsync();
                return;
            }

            var (exitCode, why) = await node.Launch().EndAsync();
            Assert.Equal(1, exitCode);
            Assert.Contains("amazon-vpc-cni-k8s's daemon (aws-node) runs on this node: it answers at http://127.0.0.1:61679/.", why, StringComparison.Ordinal);
            Assert.Empty(node.Silo.Asked);
        }
        finally
        {
            daemon.Kill();
            await daemon.WaitForExitAsync(CancellationToken.None);
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task A_second_executor_stops_and_names_the_first()
    {
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();

        var (exitCode, said) = await node.Launch().EndAsync();
        Assert.Equal(1, exitCode);
        Assert.Matches("Another node-executor \\(pid [0-9]+\\) has .*executor.lock locked", said);
    }
}
