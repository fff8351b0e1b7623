using System.Collections.Immutable;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.Tests.EndToEnd.Plugin;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>What users get wrong, and what EC2 refuses: each has its own text, and nothing is lost or half wired.</summary>
public sealed class BadInputTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Each_bad_call_of_the_plugin_has_its_own_code_and_text_and_leaves_nothing()
    {
        await using var cluster = await TestCluster.StartAsync(new ClusterSettings("avcbadcall") { Nodes = ["nodea"] });
        var node = cluster.Nodes[0];
        await using var sandbox = await CniCallOnNode.StartAsync(node, "pod");
        var before = await node.SnapshotAsync();

        Expect(await sandbox.AddAsync("{no json"), 6, "json");
        Expect(await sandbox.AddAsync("""{"cniVersion":"9.9.9","name":"aws-cni","type":"aws-vpc-cni"}"""), 1, "9.9.9");
        Expect(await sandbox.CallAsync("ADD", CniCallOnNode.Config, "CNI_NETNS=/run/netns/there-is-none"), 4, "there-is-none");
        Expect(await sandbox.CallAsync("ADD", CniCallOnNode.Config, "CNI_NETNS="), 4, "CNI_NETNS");
        Expect(await sandbox.CallAsync("ADD", CniCallOnNode.Config, "CNI_IFNAME=a-name-that-is-too-long"), 4, "CNI_IFNAME");
        Expect(await sandbox.CallAsync("ADD", CniCallOnNode.Config, "CNI_ARGS=nonsense"), 4, "CNI_ARGS");
        Expect(await sandbox.CallAsync("ADD", CniCallOnNode.Config, "AWS_VPC_CNI_SOCKET=/run/there-is-none.sock"), 11, "executor");

        Assert.Empty((await node.SnapshotAsync()).LeftOverSince(before));
        Assert.Empty(await Rows.AssignedAsync(cluster.Silo));
    }

    [Fact]
    public async Task DEL_succeeds_for_what_nobody_has_seen_without_namespace_with_anothers_and_twice()
    {
        await using var cluster = await TestCluster.StartAsync(new ClusterSettings("avcdel") { Nodes = ["nodea"] });
        await using var sandbox = await CniCallOnNode.StartAsync(cluster.Nodes[0], "pod");
        var before = await cluster.Nodes[0].SnapshotAsync();

        Assert.Equal(0, (await sandbox.DelAsync()).ExitCode);
        Assert.Equal(0, (await sandbox.AddAsync()).ExitCode);
        Assert.Equal(0, (await sandbox.CallAsync("DEL", CniCallOnNode.Config, "CNI_NETNS=")).ExitCode);
        Assert.Equal(0, (await sandbox.DelAsync()).ExitCode);
        Assert.Equal(0, (await sandbox.CallAsync("DEL", CniCallOnNode.Config, "CNI_NETNS=/run/netns/there-is-none")).ExitCode);

        await using (var other = await CniCallOnNode.StartAsync(cluster.Nodes[0], "other")) // A namespace that is there, and another pod's.
        {
            Assert.Equal(0, (await sandbox.AddAsync()).ExitCode);
            var theirs = JsonNode.Parse((await other.AddAsync()).Stdout)!;
            Assert.Equal(0, (await sandbox.CallAsync("DEL", CniCallOnNode.Config, $"CNI_NETNS=/run/netns/{other.Netns}")).ExitCode);
            AddressBooks.Entry[] told = [new(((string)theirs["ips"]![0]!["address"]!).Split('/')[0], other.Holder)];
            await Eventually.HoldsAsync("the other pod to have all of its own, and the first one nothing", Patience, async _ =>
                (await AddressBooks.ReadAsync(cluster, cluster.Nodes[0], [sandbox, other])).Wrong(told) is { Count: > 0 } wrong ? string.Join('\n', wrong) : null);
            var check = await other.CallAsync("CHECK", $$"""{{CniCallOnNode.Config[..^1]}},"prevResult":{{theirs.ToJsonString()}}}""");
            Assert.True(check.ExitCode == 0, Encoding.UTF8.GetString(check.Stdout));
            Assert.Equal(0, (await other.DelAsync()).ExitCode);
        }

        await Eventually.HoldsAsync("link, rule, route and row to be gone", Patience, async _ =>
        {
            string[] left = [.. (await cluster.Nodes[0].SnapshotAsync()).LeftOverSince(before), .. await Rows.AssignedAsync(cluster.Silo)];
            return left.Length == 0 ? null : string.Join('\n', left);
        });
    }

    [Theory]
    [InlineData("avcempty", null, "0 free addresses")]
    [InlineData("avcthrottle", "RequestLimitExceeded", "throttles AssignPrivateIpAddresses")]
    [InlineData("avcdenied", "UnauthorizedOperation", "may not call ec2:AssignPrivateIpAddresses")]
    public async Task A_pod_that_gets_no_address_is_told_which_cause_it_has(string name, string? code, string text)
    {
        // One address is kept ready, so the second ADD needs EC2 at the latest; a /28 has 9 besides those of node and silo.
        var settings = new ClusterSettings(name)
        {
            Nodes = ["nodea"], InstanceType = "m5.xlarge", SubnetCidr = code is null ? "10.20.1.0/28" : "10.20.1.0/24",
            Silo = ImmutableDictionary<string, string>.Empty.Add("Pool__WarmIps", "1"),
        };
        await using var cluster = await TestCluster.StartAsync(settings);
        var node = cluster.Nodes[0];
        if (code is not null)
        {
            await cluster.Emulator.AddFaultAsync(new Fault { Action = "AssignPrivateIpAddresses", Code = code });
        }

        var pods = new List<CniCallOnNode>();
        var said = "";
        for (var pod = 0; pod < 16 && said.Length == 0; pod++)
        {
            pods.Add(await CniCallOnNode.StartAsync(node, $"p{pod}"));
            var add = pods[^1].AddAsync();
            if (await Task.WhenAny(add, Task.Delay(TimeSpan.FromSeconds(8), TimeProvider.System, TestContext.Current.CancellationToken)) != add)
            {
                for (var tries = 0; tries < 12 && !said.Contains(text, StringComparison.Ordinal); tries++)
                {
                    await Task.Delay(TimeSpan.FromSeconds(tries == 0 ? 0 : 1), TimeProvider.System, TestContext.Current.CancellationToken);
                    said = await cluster.Silo.IpamAsync("nodes"); // Its subnet may just be turning dry.
                }

                break;
            }

            var result = await add;
            said = result.ExitCode == 0 ? "" : Encoding.UTF8.GetString(result.Stdout);
        }

        foreach (var pod in pods)
        {
            await pod.DelAsync();
            await pod.DisposeAsync();
        }

        Assert.True(said.Contains(text, StringComparison.Ordinal), said);
    }

    [Fact]
    public async Task A_second_silo_on_the_same_file_and_a_corrupt_file_are_refused_and_the_file_is_left_alone()
    {
        await using var cluster = await TestCluster.StartAsync(new ClusterSettings("avcfile") { Nodes = ["nodea"] });

        var (exitCode, output) = await cluster.Silo.RunOnceAsync(new Dictionary<string, string> { ["Silo__Port"] = "11112", ["Silo__GatewayPort"] = "30001", ["NodeApi__Port"] = "8450", ["Http__Port"] = "8451" });
        Assert.NotEqual(0, exitCode);
        Assert.Contains("silo.db", output, StringComparison.Ordinal);

        await cluster.Silo.StopAsync();
        var bytes = Encoding.ASCII.GetBytes("this is no database, whatever its name says, and nobody may overwrite it. ");
        await File.WriteAllBytesAsync(cluster.Silo.Database, bytes, TestContext.Current.CancellationToken);
        (exitCode, output) = await cluster.Silo.RunOnceAsync(new Dictionary<string, string>());
        Assert.NotEqual(0, exitCode);
        Assert.Contains("silo.db", output, StringComparison.Ordinal);
        Assert.Equal(bytes, await File.ReadAllBytesAsync(cluster.Silo.Database, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_second_executor_and_a_token_of_another_node_are_refused_and_a_damaged_lease_file_loses_no_pod()
    {
        await using var cluster = await TestCluster.StartAsync(new ClusterSettings("avclease") { Nodes = ["nodea"] });
        var node = cluster.Nodes[0];
        var pod = await node.Cri.RunPodAsync("pod");

        var (exitCode, output) = await node.RunExecutorOnceAsync(new Dictionary<string, string>());
        Assert.NotEqual(0, exitCode);
        Assert.Contains("lock", output, StringComparison.Ordinal);

        (exitCode, output) = await node.RunExecutorOnceAsync(new Dictionary<string, string> { ["AWS_VPC_CNI_STATE_DIR"] = node.StateFolder + "-other" });
        Assert.NotEqual(0, exitCode);
        Assert.Contains("serves " + node.Socket, output, StringComparison.Ordinal);

        await node.StopExecutorAsync();
        await Shell.RunAsync("ip", "-n", node.NetnsName, "link", "add", "eni0123456789a", "type", "veth", "peer", "name", "theirs");
        await Shell.RunAsync("ip", "-n", node.NetnsName, "link", "set", "eni0123456789a", "up");
        await Shell.RunAsync("ip", "-n", node.NetnsName, "route", "add", "10.20.1.77/32", "dev", "eni0123456789a");
        (exitCode, output) = await node.RunExecutorOnceAsync(new Dictionary<string, string>());
        Assert.NotEqual(0, exitCode);
        Assert.Contains("eni0123456789a (10.20.1.77)", output, StringComparison.Ordinal);
        await Shell.RunAsync("ip", "-n", node.NetnsName, "link", "delete", "eni0123456789a");

        var foreign = await cluster.Silo.IssueTokenAsync("i-0000000000000beef");
        (exitCode, output) = await node.RunExecutorOnceAsync(new Dictionary<string, string> { ["AWS_VPC_CNI_TOKEN_FILE"] = foreign });
        Assert.NotEqual(0, exitCode);
        Assert.Contains("i-0000000000000beef", output, StringComparison.Ordinal);
        Assert.Contains(node.InstanceId, output, StringComparison.Ordinal);

        await File.WriteAllTextAsync(Path.Combine(node.StateFolder, "lease"), "damaged\nbeyond\nrepair\n", TestContext.Current.CancellationToken);
        node.StartExecutor();
        await node.ServableAsync();
        var other = await node.Cri.RunPodAsync("other");

        Assert.NotEqual(pod.Address, other.Address);
        Assert.Equal("damaged\nbeyond\nrepair\n", await File.ReadAllTextAsync(Path.Combine(node.StateFolder, "lease.aside"), TestContext.Current.CancellationToken));
        await Eventually.HoldsAsync("both pods to have their rows", Patience, async _ => await Rows.AssignedAsync(cluster.Silo) is { Length: 2 } ? null : "not yet");
    }

    [Fact]
    public async Task The_executor_needs_no_credential_and_has_no_way_to_EC2_or_a_database()
    {
        var settings = new ClusterSettings("avcnoway") { Nodes = ["nodea"] };
        await using var cluster = await TestCluster.StartAsync(settings);
        var node = cluster.Nodes[0];
        await node.Cri.RunPodAsync("pod");

        var environment = (await File.ReadAllTextAsync($"/proc/{node.Executor!.Id.Pid}/environ", TestContext.Current.CancellationToken)).Split('\0');
        Assert.DoesNotContain(environment, variable => variable.StartsWith("AWS_", StringComparison.Ordinal) && !variable.StartsWith("AWS_VPC_CNI_", StringComparison.Ordinal));
        foreach (var endpoint in new[] { "127.0.0.1/4566", $"{settings.SiloAddress}/4566" })
        {
            var (exitCode, _, _) = await Shell.TryAsync("nsenter", "--net=" + node.Netns, "timeout", "5", "bash", "-c", $"exec 3<>/dev/tcp/{endpoint}");
            Assert.NotEqual(0, exitCode);
        }

        var connections = await Shell.RunAsync("nsenter", "--net=" + node.Netns, "ss", "-Htnp", "state", "established");
        Assert.All(connections.Split('\n').Where(line => line.Contains("node-executor", StringComparison.Ordinal)),
            line => Assert.Matches($@"{Regex.Escape(settings.SiloAddress)}\]?:8440\b", line));
        Assert.Contains("node-executor", connections, StringComparison.Ordinal);
    }

    private static void Expect(PluginResult result, int code, string text)
    {
        var body = Encoding.UTF8.GetString(result.Stdout);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains($"\"code\":{code}", body.Replace(" ", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Contains(text, body, StringComparison.OrdinalIgnoreCase);
    }
}
