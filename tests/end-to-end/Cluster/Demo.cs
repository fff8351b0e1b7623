using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using AwsVpcCni.Tests.EndToEnd.Containerd;
using AwsVpcCni.Tests.EndToEnd.Harness;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>`make demo`: a small cluster comes up, pods on two nodes talk, operators look at it, it goes. Every step is checked; the first that is not as said ends it with exit code 1.</summary>
internal static class Demo
{
    private const string Page = "Hello from pod web on nodea";
    private static readonly Stopwatch Clock = Stopwatch.StartNew();

    public static async Task<int> RunAsync()
    {
        try
        {
            Say("Starting a VPC emulator, a silo, and on each of two nodes an executor and containerd");
            await using (var cluster = await TestCluster.StartAsync(new ClusterSettings("avcdemo"), Say))
            {
                await ShowAsync(cluster);
                Say("Taking all down");
            }

            Check(!Directory.EnumerateFiles("/run/netns", "avcdemo-*").Any(), "no namespace is left");
            Say("Done: every step was as said");
            return 0;
        }
        catch (Exception e)
        {
            // The one place where everything ends: a demonstration that fails says how, and fails.
            await Console.Error.WriteLineAsync($"FAILED: {e}");
            return 1;
        }
    }

    private static async Task ShowAsync(TestCluster cluster)
    {
        var (nodeA, nodeB) = (cluster.Nodes[0], cluster.Nodes[1]);
        var before = new[] { await nodeA.SnapshotAsync(), await nodeB.SnapshotAsync() };

        Say($"Running pods by {await nodeA.Cri.VersionAsync()}; kubelet would ask it the same way (CRI over gRPC)");
        var web = await nodeA.Cri.RunPodAsync("web", command: ["sh", "-c", $"echo '{Page}' >/tmp/index.html; exec httpd -f -p 8080 -h /tmp"]);
        var client = await nodeB.Cri.RunPodAsync("client");
        Say($"  pod web on {nodeA.Name} has {web.Address}, pod client on {nodeB.Name} has {client.Address}");
        var holders = (await cluster.Emulator.StateAsync()).Interfaces.SelectMany(i => i.Addresses, (i, address) => (i.Instance, address)).ToList();
        Check(holders.Contains((nodeA.InstanceId, web.Address)) && holders.Contains((nodeB.InstanceId, client.Address)), "EC2 says that the pods' nodes hold these addresses");

        Say("client pings web, and web client");
        await PingAsync(nodeB.Cri, client, web.Address);
        await PingAsync(nodeA.Cri, web, client.Address);

        Say("client fetches a page of web by TCP");
        var page = await nodeB.Cri.ExecAsync(client, "sh", "-c", $"printf 'GET /index.html HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {web.Address} 8080");
        Print(page);
        Check(page.Contains(Page, StringComparison.Ordinal), "the page has come whole");

        Say("ipam subnets");
        Print(await cluster.Silo.IpamAsync("subnets"));
        Say("ipam nodes");
        await Eventually.HoldsAsync("ipam to show one pod on each node", TimeSpan.FromSeconds(30), _ => PodsAsync(cluster, 1));
        Print(await cluster.Silo.IpamAsync("nodes"));
        Say("ipam node " + nodeA.InstanceId);
        Print(await cluster.Silo.IpamAsync("node", nodeA.InstanceId));

        Say("Stopping the pods");
        await nodeA.Cri.StopAndRemoveAsync(web);
        await nodeB.Cri.StopAndRemoveAsync(client);
        await Eventually.HoldsAsync("the pods' links, routes and rules to be gone", TimeSpan.FromSeconds(10), async _ =>
        {
            string[] left = [.. (await nodeA.SnapshotAsync()).LeftOverSince(before[0]), .. (await nodeB.SnapshotAsync()).LeftOverSince(before[1])];
            return left.Length == 0 ? null : string.Join('\n', left);
        });
        await Eventually.HoldsAsync("ipam to show no pod on any node", TimeSpan.FromSeconds(30), _ => PodsAsync(cluster, 0));
        Say("  no link, route, rule or assignment is left");

        Say("ipam who " + web.Address);
        var who = await cluster.Silo.IpamAsync("who", web.Address);
        Print(who);
        Check(who.Contains("/web ", StringComparison.Ordinal) && who.Contains(nodeA.InstanceId, StringComparison.Ordinal), "it says that pod web of nodea had it");
        Say("ipam quota");
        Print(await cluster.Silo.IpamAsync("quota", "--quota", "account/eu-west-1"));
        Say("ipam pods --waiting");
        Print(await cluster.Silo.IpamAsync("pods", "--waiting"));

        Say("EC2 calls that all this took (each is checked: budget, named draws, shared describes)");
        var (exitCode, calls) = await cluster.CheckCallsAsync();
        Print(calls);
        Check(exitCode == 0, "the calls are as promised");
    }

    private static async Task PingAsync(Cri cri, Pod from, string to)
    {
        var output = await cri.ExecAsync(from, "ping", "-c", "3", "-W", "5", to);
        Print(output);
        Check(output.Contains("3 packets received", StringComparison.Ordinal), $"{to} answers all pings of {from.Address}");
    }

    /// <summary>Null when each node has as many pods as said.</summary>
    private static async Task<string?> PodsAsync(TestCluster cluster, int onEach)
    {
        var text = await cluster.Silo.IpamAsync("nodes", "--json");
        var pods = JsonDocument.Parse(text).RootElement.EnumerateArray().Select(n => n.GetProperty("onPods").GetInt32()).ToList();
        return pods.Count == cluster.Nodes.Length && pods.All(p => p == onEach) ? null : text;
    }

    private static void Check(bool holds, string what)
    {
        if (!holds)
        {
            throw new InvalidOperationException($"Not as said: {what}.");
        }
    }

    private static void Say(string text) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"[{Clock.Elapsed.TotalSeconds,5:0.0} s] {text}"));

    private static void Print(string text)
    {
        foreach (var line in text.TrimEnd().Split('\n'))
        {
            Console.WriteLine("            " + line.TrimEnd());
        }
    }
}
