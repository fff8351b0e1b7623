using AwsVpcCni.NodeExecutor.Wiring;
using Xunit;
using static AwsVpcCni.Tests.Wiring.TestNode;

namespace AwsVpcCni.Tests.Wiring;

/// <summary>One pod name, two containers: whenever the old one's DEL comes, the new pod is whole and the old one leaves nothing.</summary>
public sealed class SamePodNameTests : IDisposable
{
    private readonly TestNode _node = new();
    private readonly PodWiring _old = Pod("old", "10.0.0.21", table: 3);
    private readonly PodWiring _new = Pod("new", "10.0.0.22", table: 3);
    private readonly string _oldNetns;
    private readonly string _newNetns;
    private readonly string _before;

    public SamePodNameTests()
    {
        (_oldNetns, _newNetns) = (_node.AddNamespace("old"), _node.AddNamespace("new"));
        _before = _node.Snapshot();
        _node.Wire(_old, _oldNetns);
    }

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task Before()
    {
        await _node.UnwireAsync(_old);
        Assert.Null(_node.Wire(_new, _newNetns).Displaced);
        await AssertOnlyTheNewOneIsLeftAsync();
    }

    [Fact]
    public async Task Before_without_waiting_for_the_old_link()
    {
        var gone = _node.UnwireAsync(_old);
        _node.Wire(_new, _newNetns);
        await gone;
        await AssertOnlyTheNewOneIsLeftAsync();
    }

    [Fact]
    public async Task During()
    {
        for (var round = 0; round < 10; round++)
        {
            await Task.WhenAll(Task.Run(() => _node.UnwireAsync(_old), TestContext.Current.CancellationToken), Task.Run(() => _node.Wire(_new, _newNetns), TestContext.Current.CancellationToken));
            Assert.Equal("new", Assert.Single(_node.Inventory()).Sandbox!.Value.ContainerId);
            Ping(_node.Name, "10.0.0.22");
            await _node.UnwireAsync(_new);
            Assert.Equal(_before, _node.Snapshot());
            _node.Wire(_old, _oldNetns);
        }

        await _node.UnwireAsync(_old);
    }

    [Fact]
    public async Task After_and_twice()
    {
        var wired = _node.Wire(_new, _newNetns);
        Assert.Equal(_old.Sandbox, wired.Displaced);
        await _node.UnwireAsync(_old);
        await _node.UnwireAsync(_old);
        await AssertOnlyTheNewOneIsLeftAsync();
    }

    [Fact]
    public async Task After_the_new_ones()
    {
        _node.Wire(_new, _newNetns);
        await _node.UnwireAsync(_new);
        await _node.UnwireAsync(_old);
        Assert.Equal(_before, _node.Snapshot());
    }

    [Fact]
    public async Task Never()
    {
        _node.Wire(_new, _newNetns);
        var rulesOnly = Assert.Single(_node.Inventory(), found => found.HostVeth is null);
        Assert.Equal((_old.Address, 3), (rulesOnly.Address, rulesOnly.RouteTable));
        await _node.UnwireAsync(rulesOnly);
        await AssertOnlyTheNewOneIsLeftAsync();
    }

    [Fact]
    public async Task After_when_the_new_one_has_even_the_same_address()
    {
        var heir = Pod("new", "10.0.0.21", table: 3);
        _node.Wire(heir, _newNetns);
        var inUse = await Assert.ThrowsAsync<WiringException>(() => _node.UnwireAsync(_old)); // Its rules look just like the heir's.
        Assert.Contains("10.0.0.21 is routed to link", inUse.Message, StringComparison.Ordinal);
        Ping(_node.Name, "10.0.0.21");
        Assert.Contains("1536:\tfrom 10.0.0.21 lookup 3", Run("ip", "-n", _node.Name, "rule"), StringComparison.Ordinal);
        await _node.UnwireAsync(heir);
        Assert.Equal(_before, _node.Snapshot());
    }

    private async Task AssertOnlyTheNewOneIsLeftAsync()
    {
        var left = Assert.Single(_node.Inventory());
        Assert.Equal((_new.Sandbox, _new.Address, 3), (left.Sandbox, left.Address, left.RouteTable));
        Ping(_node.Name, "10.0.0.22");
        await _node.UnwireAsync(_new);
        Assert.Equal(_before, _node.Snapshot());
    }
}
