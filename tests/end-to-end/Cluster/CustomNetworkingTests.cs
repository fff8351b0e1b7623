using System.Collections.Immutable;
using AwsVpcCni.Tests.EndToEnd.Harness;
using Xunit;
using Entry = AwsVpcCni.Tests.EndToEnd.Cluster.AddressBooks.Entry;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>Custom networking: nodes in one CIDR of the VPC, their pods in another, with groups of their own. Which ENIConfig a node has is shown in tests/cluster/Kubernetes.</summary>
public sealed class CustomNetworkingTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Pods_are_in_the_subnet_of_their_own_reach_each_other_and_the_nodes_and_leave_nothing()
    {
        var settings = new ClusterSettings("avccustom")
        {
            PodSubnetCidr = "100.64.1.0/24",
            Silo = ImmutableDictionary<string, string>.Empty.Add("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", "true").Add("Pool__Subnets__0", ClusterSettings.PodSubnetId).Add("Pool__SecurityGroups__0", ClusterSettings.PodGroup)
                .Add("Pool__WarmIps", "1").Add("IP_COOLDOWN_PERIOD", "2").Add("Pool__PreferredRest", "00:00:04"),
        };
        await using var cluster = await TestCluster.StartAsync(settings);
        var (a, b) = (cluster.Nodes[0], cluster.Nodes[1]);
        var pods = new[] { await a.Cri.RunPodAsync("one"), await a.Cri.RunPodAsync("two"), await b.Cri.RunPodAsync("three") };

        Assert.All(pods, pod => Assert.StartsWith("100.64.1.", pod.Address, StringComparison.Ordinal));
        var interfaces = (await cluster.Emulator.StateAsync()).Interfaces;
        Assert.All(interfaces.Where(eni => eni.Instance == a.InstanceId || eni.Instance == b.InstanceId), eni =>
            Assert.Equal(eni.DeviceIndex == 0 ? (ClusterSettings.SubnetId, 1) : (ClusterSettings.PodSubnetId, eni.Addresses.Count), (eni.Subnet, eni.Addresses.Count)));
        Assert.All((await cluster.Emulator.CallsAsync()).Where(call => call.Action == "CreateNetworkInterface"), call => Assert.Contains(call.Parameters, one => one is { Key: "SecurityGroupId.1", Value: ClusterSettings.PodGroup }));
        await AddressBooks.AgreedAsync(cluster, a, [new Entry(pods[0].Address, pods[0].Sandbox), new Entry(pods[1].Address, pods[1].Sandbox)]);
        foreach (var to in new[] { pods[1].Address, pods[2].Address, interfaces.Single(eni => eni.Instance == a.InstanceId && eni.DeviceIndex == 0).Addresses[0], interfaces.Single(eni => eni.Instance == b.InstanceId && eni.DeviceIndex == 0).Addresses[0] })
        {
            Assert.Contains("1 packets received", await a.Cri.ExecAsync(pods[0], "ping", "-c", "1", "-W", "5", to), StringComparison.Ordinal);
        }

        foreach (var pod in pods)
        {
            await (pod == pods[2] ? b : a).Cri.StopAndRemoveAsync(pod);
        }

        await Eventually.HoldsAsync("each node to keep one interface for pods, and no row", Patience, async _ =>
            (await Rows.AssignedAsync(cluster.Silo)) is { Length: > 0 } rows ? string.Join(' ', rows) : (await cluster.Emulator.StateAsync()).Interfaces.Count(eni => eni.DeviceIndex == 1) is 2 ? null : "no interface");
    }
}
