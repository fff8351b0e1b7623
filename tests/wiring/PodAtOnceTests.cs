using Xunit;
using static AwsVpcCni.Tests.Wiring.TestNode;

namespace AwsVpcCni.Tests.Wiring;

/// <summary>Several interfaces of one pod, wired at the same moment, as runtimes with several networks ask for them.</summary>
public sealed class PodAtOnceTests : IDisposable
{
    private readonly TestNode _node = new();

    public void Dispose() => _node.Dispose();

    [Theory]
    [InlineData("eth0", "eth1", "net1")]
    [InlineData("net1", "net2", "net3")]
    public async Task Each_has_a_next_hop_of_its_own_and_one_is_the_default(params string[] names)
    {
        var before = _node.Snapshot();
        for (var round = 0; round < 20; round++)
        {
            var netns = _node.AddNamespace($"pod{round}");
            var pods = names.Select((name, n) => Pod($"c{round}", $"10.0.0.{21 + n}", ifName: name)).ToArray();
            using var barrier = new Barrier(pods.Length);
            var wired = await Task.WhenAll(pods.Select(pod => Task.Factory.StartNew(
                () =>
                {
                    barrier.SignalAndWait();
                    return _node.Wire(pod, netns);
                },
                TestContext.Current.CancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default)));

            Assert.Equal([0, 1, 2], wired.Select(one => one.Routing.Index).Order());
            foreach (var pod in pods)
            {
                Ping(_node.Name, pod.Address.ToString());
                await _node.UnwireAsync(pod);
            }

            _node.DeleteNamespace(netns);
        }

        Assert.Equal(before, _node.Snapshot());
    }
}
