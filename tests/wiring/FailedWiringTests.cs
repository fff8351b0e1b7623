using AwsVpcCni.NodeExecutor.Wiring;
using Xunit;
using static AwsVpcCni.Tests.Wiring.TestNode;

namespace AwsVpcCni.Tests.Wiring;

/// <summary>Whatever step fails, nothing is left of the attempt, and the message says what stood in the way.</summary>
public sealed class FailedWiringTests : IDisposable
{
    private readonly TestNode _node = new();
    private readonly string _netns;
    private readonly string _before;
    private readonly string _podBefore;

    public FailedWiringTests()
    {
        _netns = _node.AddNamespace("pod");
        _before = _node.Snapshot();
        _podBefore = Run("ip", "-n", _netns, "-o", "link");
    }

    public void Dispose() => _node.Dispose();

    [Fact]
    public void A_closed_descriptor_is_named()
    {
        var handle = File.OpenHandle(Path(_netns));
        handle.Dispose();
        AssertNothingLeft(Assert.Throws<WiringException>(() => _node.Wire(Pod("c1", "10.0.0.21"), handle)), "c1/eth0 (default/web-0) cannot be wired");
    }

    [Fact]
    public void A_descriptor_of_something_else_is_named()
    {
        using var handle = File.OpenHandle("/proc/self/ns/mnt");
        AssertNothingLeft(Assert.Throws<WiringException>(() => _node.Wire(Pod("c1", "10.0.0.21"), handle)), "network namespace is none");
    }

    [Fact]
    public void What_the_kernel_refuses_at_the_first_message_leaves_nothing()
    {
        var wiring = Pod("c1", "10.0.0.21", mtu: 60); // A veth needs 68 bytes.
        AssertNothingLeft(Assert.Throws<WiringException>(() => _node.Wire(wiring, _netns)), $"create link {wiring.HostVeth}");
    }

    [Fact]
    public void What_the_kernel_refuses_in_the_pod_is_undone_on_the_host_and_told_in_its_own_words()
    {
        Run("ip", "-n", _netns, "rule", "add", "priority", "1", "to", "169.254.1.1", "prohibit");
        AssertNothingLeft(
            Assert.Throws<WiringException>(() => _node.Wire(Pod("c1", "10.0.0.21", table: 3), _netns)),
            "add route 0.0.0.0/0 via 169.254.1.1 table 254 dev eth0 in the pod: Permission denied (EACCES): Nexthop has invalid gateway");
    }

    [Fact]
    public void An_interface_of_the_pod_that_is_there_already_is_left_alone()
    {
        Run("ip", "-n", _netns, "link", "add", "eth0", "type", "veth", "peer", "name", "other");
        var refused = Assert.Throws<WiringException>(() => _node.Wire(Pod("c1", "10.0.0.21"), _netns));
        Assert.Contains("already has an interface eth0", refused.Message, StringComparison.Ordinal);
        Assert.Equal(_before, _node.Snapshot());
        Assert.Contains("eth0", Run("ip", "-n", _netns, "-o", "link"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bridge", "")]
    [InlineData("veth", "calico/1 c9")]
    public void A_foreign_link_of_the_host_ends_name_is_left_alone(string kind, string alias)
    {
        var wiring = Pod("c1", "10.0.0.21");
        Run("ip", "-n", _node.Name, "link", "add", wiring.HostVeth, "type", kind);
        Run("ip", "-n", _node.Name, "link", "set", wiring.HostVeth, "alias", alias);
        var before = _node.Snapshot();

        var refused = Assert.Throws<WiringException>(() => _node.Wire(wiring, _netns));

        Assert.Contains($"link {wiring.HostVeth} (kind '{kind}', alias '{alias}') is not ours", refused.Message, StringComparison.Ordinal);
        Assert.True(refused.IsUndone);
        Assert.Equal(before, _node.Snapshot());
    }

    /// <summary>A deadline that ends anywhere between the first message and the last: the kernel goes on, the answer is not
    /// waited for, and the undoing has to find what was made.</summary>
    [Fact]
    public async Task A_deadline_that_ends_at_any_step_leaves_all_or_nothing()
    {
        var (wired, failed) = (0, 0);
        for (var microseconds = 0; microseconds <= 3000; microseconds += 60)
        {
            var wiring = Pod("c1", "10.0.0.21", table: 3);
            try
            {
                _node.Wire(wiring, _netns, TimeSpan.FromMicroseconds(microseconds));
                wired++;
                await _node.UnwireAsync(wiring);
                Assert.Equal(_before, _node.Snapshot());
            }
            catch (WiringException late)
            {
                failed++;
                AssertNothingLeft(late, "within the deadline");
            }
        }

        Assert.True(failed > 0, $"{wired} were wired, {failed} failed");
    }

    private void AssertNothingLeft(WiringException failure, string said)
    {
        Assert.Contains(said, failure.Message, StringComparison.Ordinal);
        Assert.True(failure.IsUndone);
        Assert.Equal(_before, _node.Snapshot());
        Assert.Equal(_podBefore, Run("ip", "-n", _netns, "-o", "link"));
    }
}
