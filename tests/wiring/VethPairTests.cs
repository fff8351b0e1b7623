using AwsVpcCni.NodeExecutor.Wiring;
using Xunit;
using static AwsVpcCni.Tests.Wiring.TestNode;

namespace AwsVpcCni.Tests.Wiring;

/// <summary>The pair that is made while an address is asked for: it takes nothing from anybody, and goes when there is none.</summary>
public sealed class VethPairTests : IDisposable
{
    private readonly TestNode _node = new();
    private readonly PodWiring _pod = Pod("c1", "10.0.0.21", table: 3);
    private readonly string _netns;
    private readonly string _before;

    public VethPairTests()
    {
        _netns = _node.AddNamespace("pod");
        _before = _node.Snapshot();
    }

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task With_an_address_it_is_a_whole_wiring()
    {
        using var netns = File.OpenHandle(Path(_netns));
        var pair = Make(_pod, netns)!;
        var half = Assert.Single(_node.Inventory());
        Assert.Equal((null, _pod.HostVeth, null), (half.Sandbox, half.HostVeth, half.Address));

        Assert.Null(_node.In(() => _node.Wirer.Wire(_pod, netns, Deadline, pair)).Displaced);
        Ping(_node.Name, "10.0.0.21");
        await _node.UnwireAsync(_pod);
        Assert.Equal(_before, _node.Snapshot());
    }

    [Fact]
    public async Task Discarded_it_leaves_nothing()
    {
        using var netns = File.OpenHandle(Path(_netns));
        var pair = Make(_pod, netns)!;
        await _node.Wirer.DiscardAsync(pair, Deadline);
        Assert.Equal(_before, _node.Snapshot());
        Assert.DoesNotContain("eth0", Run("ip", "-n", _netns, "-o", "link"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_pod_of_the_same_name_keeps_its_link_until_the_newcomer_has_an_address()
    {
        _node.Wire(Pod("old", "10.0.0.22"), _node.AddNamespace("old"));
        using var netns = File.OpenHandle(Path(_netns));
        Assert.Null(Make(_pod, netns));
        Ping(_node.Name, "10.0.0.22");

        Assert.Equal("old", _node.In(() => _node.Wirer.Wire(_pod, netns, Deadline)).Displaced?.ContainerId);
        Ping(_node.Name, "10.0.0.21");
    }

    [Fact]
    public void Whoever_takes_its_name_meanwhile_makes_the_wiring_fail_and_loses_nothing()
    {
        using var netns = File.OpenHandle(Path(_netns));
        var pair = Make(_pod, netns)!;
        var heir = Pod("new", "10.0.0.22");
        _node.Wire(heir, _node.AddNamespace("new"));

        Assert.True(Assert.Throws<WiringException>(() => _node.In(() => _node.Wirer.Wire(_pod, netns, Deadline, pair))).IsUndone);
        Ping(_node.Name, "10.0.0.22");
        Assert.Equal(heir.Sandbox, Assert.Single(_node.Inventory()).Sandbox);
    }

    /// <summary>As in <see cref="FailedWiringTests"/>: the kernel goes on, and what it has made must be found.</summary>
    [Fact]
    public async Task A_deadline_that_ends_at_any_step_leaves_a_whole_pair_or_none()
    {
        using var netns = File.OpenHandle(Path(_netns));
        var (made, failed) = (0, 0);
        for (var microseconds = 0; microseconds <= 3000; microseconds += 60)
        {
            if (_node.In(() => _node.Wirer.TryMake(_pod.Veth, netns, TimeSpan.FromMicroseconds(microseconds))) is { } pair)
            {
                made++;
                await _node.Wirer.DiscardAsync(pair, Deadline);
            }
            else
            {
                failed++;
            }

            Assert.Equal(_before, _node.Snapshot());
        }

        Assert.True(failed > 0, $"{made} were made, {failed} failed");
    }

    private VethPair? Make(PodWiring pod, Microsoft.Win32.SafeHandles.SafeFileHandle netns) => _node.In(() => _node.Wirer.TryMake(pod.Veth, netns, Deadline));
}
