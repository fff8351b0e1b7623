using System.Diagnostics;
using System.Text.Json;
using AwsVpcCni.NodeExecutor.Wiring;
using Xunit;
using static AwsVpcCni.Tests.Wiring.TestNode;

namespace AwsVpcCni.Tests.Wiring;

/// <summary>One pod's wiring in real namespaces: what is there, what talks, what is left. What it does not check: other machines.</summary>
public sealed class PodWiringTests(ITestOutputHelper output) : IDisposable
{
    private readonly TestNode _node = new();

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task Two_pods_and_their_node_reach_one_another()
    {
        var before = _node.Snapshot();
        var (one, two) = (_node.AddNamespace("one"), _node.AddNamespace("two"));
        var (first, second) = (Pod("c1", "10.0.0.21", "a"), Pod("c2", "10.0.0.22", "b", table: 3));
        Run("ip", "-n", _node.Name, "route", "add", "10.0.0.0/16", "dev", "lo", "table", "3"); // Something for rule 1536 to find.
        _node.Wire(first, one);
        _node.Wire(second, two);

        Ping(one, "10.0.0.22");
        Ping(two, "10.0.0.21");
        Ping(_node.Name, "10.0.0.21");
        Ping(_node.Name, "10.0.0.22");
        Ping(one, "10.0.0.10");

        await _node.UnwireAsync(first);
        await _node.UnwireAsync(second);
        Assert.Throws<InvalidOperationException>(() => Ping(_node.Name, "10.0.0.21"));
        Run("ip", "-n", _node.Name, "route", "flush", "table", "3");
        Assert.Equal(before, _node.Snapshot());
    }

    [Fact]
    public void The_kernel_has_exactly_the_layout_of_amazon_vpc_cni_k8s()
    {
        var netns = _node.AddNamespace("pod");
        var wiring = Pod("4b5e", "10.0.0.21", "nginx", table: 3);
        var wired = _node.Wire(wiring, netns);

        Assert.Equal("enic440f455693", wired.HostVeth);
        var host = Ip(_node.Name, "link", "show", wired.HostVeth)[0];
        Assert.Equal(wired.HostMac, Text(host, "address"));
        Assert.Equal(2, Convert.ToByte(wired.HostMac[..2], 16) & 3); // Local, for one receiver.
        // "Set" in the message that created it, linux/netdevice.h: udev leaves it alone. The pod's end has the kernel's, as there.
        Assert.Equal("3", Run("ip", "netns", "exec", _node.Name, "cat", $"/sys/class/net/{wired.HostVeth}/addr_assign_type").Trim());
        Assert.Equal(9001, host.GetProperty("mtu").GetInt32());
        Assert.Equal("UP", Text(host, "operstate"));
        Assert.Equal("aws-vpc-cni/1 4b5e eth0 10.0.0.21 1787234520000 default/nginx", Text(host, "ifalias"));
        var route = Assert.Single(Ip(_node.Name, "-4", "route").EnumerateArray());
        Assert.Equal(("10.0.0.21", wired.HostVeth, "link"), (Text(route, "dst"), Text(route, "dev"), Text(route, "scope")));
        Assert.Equal(
            ["0 all > all: local", "512 all > 10.0.0.21: main", "1536 10.0.0.21 > all: 3", "32766 all > all: main", "32767 all > all: default"],
            Ip(_node.Name, "-4", "rule").EnumerateArray().Select(rule =>
                $"{rule.GetProperty("priority")} {Text(rule, "src")} > {Text(rule, "dst") ?? "all"}: {Text(rule, "table")}"));

        var pod = Ip(netns, "link", "show", "eth0")[0];
        Assert.Equal(wired.PodMac, Text(pod, "address"));
        Assert.Equal(9001, pod.GetProperty("mtu").GetInt32());
        var address = Assert.Single(Ip(netns, "-4", "address").EnumerateArray().SelectMany(link => link.GetProperty("addr_info").EnumerateArray()));
        Assert.Equal(("10.0.0.21", 32), (Text(address, "local"), address.GetProperty("prefixlen").GetInt32()));
        Assert.Equal(
            ["default via 169.254.1.1 dev eth0 global", "169.254.1.1 via  dev eth0 link"],
            Ip(netns, "-4", "route").EnumerateArray().Select(found =>
                $"{Text(found, "dst")} via {Text(found, "gateway")} dev {Text(found, "dev")} {Text(found, "scope")}"));
        var neighbour = Assert.Single(Ip(netns, "-4", "neigh").EnumerateArray());
        Assert.Equal(("169.254.1.1", wired.HostMac, "PERMANENT"), (Text(neighbour, "dst"), Text(neighbour, "lladdr"), neighbour.GetProperty("state")[0].GetString()));

        Assert.Equal("0 1 0", _node.In(() => string.Join(' ', ((string[])["accept_ra", "accept_redirects", "forwarding"]).Select(name =>
            File.ReadAllText($"/proc/sys/net/ipv6/conf/{wired.HostVeth}/{name}").Trim()))));
    }

    [Fact]
    public void Fifty_rounds_leave_nothing()
    {
        var netns = _node.AddNamespace("pod");
        using var handle = File.OpenHandle(Path(netns));
        var (before, podBefore) = (_node.Snapshot(), Run("ip", "-n", netns, "-o", "link"));
        var times = new List<double>();
        var isGone = _node.In(() =>
        {
            for (var i = 0; i < 50; i++)
            {
                var wiring = Pod($"c{i}", "10.0.0.21", table: i % 2 == 0 ? PodWiring.MainTable : 3);
                var started = Stopwatch.GetTimestamp();
                _node.Wirer.Wire(wiring, handle, Deadline);
                times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
                if (!_node.Wirer.Unwire(WiredSandbox.Of(wiring), Deadline).Wait(Deadline, TestContext.Current.CancellationToken))
                {
                    return false;
                }
            }

            return true;
        });

        Assert.True(isGone, "the kernel did not confirm within the deadline that a link is gone");
        output.WriteLine($"wire: median {times.Order().ElementAt(25):F2} ms, fastest {times.Min():F2} ms");
        Assert.Equal(before, _node.Snapshot());
        Assert.Equal(podBefore, Run("ip", "-n", netns, "-o", "link"));
    }

    [Fact]
    public async Task Pods_of_many_threads_are_wired_at_once()
    {
        var before = _node.Snapshot();
        var pods = Enumerable.Range(0, 16).Select(i => (Wiring: Pod($"c{i}", $"10.0.0.{100 + i}", $"web-{i}"), Netns: _node.AddNamespace($"pod{i}"))).ToArray();
        await Task.WhenAll(pods.Select(pod => Task.Run(() => _node.Wire(pod.Wiring, pod.Netns), TestContext.Current.CancellationToken)));

        Ping(pods[0].Netns, "10.0.0.115");
        Assert.Equal(
            pods.Select(pod => pod.Wiring.Sandbox.ContainerId).Order(),
            _node.Inventory().Select(found => found.Sandbox!.Value.ContainerId).Order());
        await Task.WhenAll(pods.Select(pod => Task.Run(() => _node.UnwireAsync(pod.Wiring), TestContext.Current.CancellationToken)));
        Assert.Equal(before, _node.Snapshot());
    }

    [Fact]
    public async Task A_second_unwiring_and_one_without_a_namespace_succeed()
    {
        var before = _node.Snapshot();
        var netns = _node.AddNamespace("pod");
        var wiring = Pod("c1", "10.0.0.21", table: 3);
        _node.Wire(wiring, netns);
        _node.DeleteNamespace(netns); // The kernel takes the link at some later moment; the rules stay.

        await _node.UnwireAsync(wiring);
        await _node.UnwireAsync(wiring);
        Assert.Equal(before, _node.Snapshot());
    }

    [Fact]
    public async Task The_same_sandbox_is_wired_anew()
    {
        var before = _node.Snapshot();
        var netns = _node.AddNamespace("pod");
        _node.Wire(Pod("c1", "10.0.0.21"), netns);
        var again = _node.Wire(Pod("c1", "10.0.0.21"), netns);

        Assert.Null(again.Displaced);
        Ping(_node.Name, "10.0.0.21");
        await _node.UnwireAsync(Pod("c1", "10.0.0.21"));
        Assert.Equal(before, _node.Snapshot());
    }

    [Fact]
    public void The_primary_interface_gets_its_mtu_and_loose_reverse_path_filtering()
    {
        Run("ip", "-n", _node.Name, "link", "add", "ens5", "address", "02:ab:00:00:00:01", "type", "veth", "peer", "name", "up0");

        Assert.Equal("ens5", _node.In(() => HostSetup.Apply("02:AB:00:00:00:01", 1400, Deadline))?.Name);

        Assert.Equal(1400, Ip(_node.Name, "link", "show", "ens5")[0].GetProperty("mtu").GetInt32());
        Assert.Equal("2", _node.In(() => File.ReadAllText("/proc/sys/net/ipv4/conf/ens5/rp_filter").Trim()));
        var unknown = Assert.Throws<WiringException>(() => _node.In(() => HostSetup.NameOf("02:ab:00:00:00:99", Deadline)));
        Assert.Contains("ens5 02:ab:00:00:00:01", unknown.Message, StringComparison.Ordinal);
    }

    private static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) ? value.ToString() : null;
}
