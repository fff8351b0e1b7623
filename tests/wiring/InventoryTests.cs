using AwsVpcCni.NodeExecutor.Wiring;
using Xunit;
using static AwsVpcCni.Tests.Wiring.TestNode;

namespace AwsVpcCni.Tests.Wiring;

/// <summary>What an executor that has just started reads out of the kernel.</summary>
public sealed class InventoryTests : IDisposable
{
    private readonly TestNode _node = new();

    public void Dispose() => _node.Dispose();

    [Fact]
    public void What_was_wired_is_read_back()
    {
        PodWiring[] pods = [Pod("c1", "10.0.0.21", "a"), Pod("c2", "10.0.0.22", "b", table: 3), Pod("c3", "10.0.0.23", "c", table: 10_101, ifName: "net1")];
        foreach (var pod in pods)
        {
            _node.Wire(pod, _node.AddNamespace(pod.Sandbox.ContainerId));
        }

        Assert.Equal(pods.Select(WiredSandbox.Of), _node.Inventory().OrderBy(found => found.Sandbox!.Value.ContainerId));
    }

    [Fact]
    public async Task A_half_wired_link_is_listed_and_removed()
    {
        var before = _node.Snapshot();
        var wiring = Pod("c1", "10.0.0.21");
        Run("ip", "-n", _node.Name, "link", "add", wiring.HostVeth, "type", "veth", "peer", "name", "eth0", "netns", _node.AddNamespace("pod"));
        Assert.Equal(new WiredSandbox(null, wiring.HostVeth, null, PodWiring.MainTable, null, ""), Assert.Single(_node.Inventory()));

        await _node.UnwireAsync(wiring); // Perhaps somebody else's, just being made: a DEL leaves it.
        Run("ip", "-n", _node.Name, "link", "set", wiring.HostVeth, "up");
        Run("ip", "-n", _node.Name, "route", "add", "10.0.0.21/32", "dev", wiring.HostVeth, "scope", "link");
        var half = Assert.Single(_node.Inventory());
        Assert.Equal(new WiredSandbox(null, wiring.HostVeth, Core.Addressing.Ip.Parse("10.0.0.21"), PodWiring.MainTable, null, ""), half);

        await _node.UnwireAsync(half);
        Assert.Equal(before, _node.Snapshot());
    }

    [Fact]
    public async Task Rules_without_a_link_are_listed_and_removed()
    {
        var before = _node.Snapshot();
        Run("ip", "-n", _node.Name, "rule", "add", "priority", "1536", "from", "10.0.0.21", "lookup", "3");
        Run("ip", "-n", _node.Name, "rule", "add", "priority", "512", "to", "10.0.0.22", "lookup", "main");
        var foreign = Run("ip", "-n", _node.Name, "rule", "add", "priority", "600", "to", "10.0.0.23", "lookup", "main");

        var found = _node.Inventory();
        Assert.Equal(["10.0.0.21", "10.0.0.22"], found.Select(rules => rules.Address.ToString()).Order());
        foreach (var rules in found)
        {
            await _node.UnwireAsync(rules);
        }

        Assert.Empty(foreign);
        Run("ip", "-n", _node.Name, "rule", "del", "priority", "600");
        Assert.Equal(before, _node.Snapshot());
    }

    [Fact]
    public void Links_of_others_are_not_listed()
    {
        Run("ip", "-n", _node.Name, "link", "add", "eni0123456789a", "type", "bridge");
        Run("ip", "-n", _node.Name, "link", "add", "veth0", "type", "veth", "peer", "name", "enib5faff8a083");
        Run("ip", "-n", _node.Name, "link", "set", "enib5faff8a083", "alias", "calico/1");
        Assert.Empty(_node.Inventory());
    }
}
