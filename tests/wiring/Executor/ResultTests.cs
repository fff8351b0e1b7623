using System.Text.Json;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>What an ADD prints: by the config's version, and behind another plugin.</summary>
public sealed class ResultTests
{
    [Theory]
    [InlineData("0.3.1", true, false)]
    [InlineData("0.4.0", true, false)]
    [InlineData("1.0.0", false, false)]
    [InlineData("1.1.0", false, true)]
    public async Task A_result_is_in_the_configs_version_and_the_ADDs_arguments_are_those_of_a_runtime(string version, bool namesFamily, bool namesMtu)
    {
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var pod = node.AddPod("pod");
        var environment = PluginClient.Environment("ADD", "c1", pod, "web-0").Replace(
            "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;", "CNI_ARGS=K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_NAMESPACE=default;NEW_KEY=1;IgnoreUnknown=true;", StringComparison.Ordinal);
        var add = await PluginClient.AskAsync(node.Socket, environment, CniChecks.ConfigWith(null, version, ",\"mtu\":\"1400\""), pod);

        Assert.Equal(0, add.ExitCode);
        Assert.Equal(version, add.Json.GetProperty("cniVersion").GetString());
        Assert.Equal(namesFamily ? "4" : null, add.Json.GetProperty("ips")[0].TryGetProperty("version", out var family) ? family.GetString() : null);
        Assert.All(add.Json.GetProperty("interfaces").EnumerateArray(), link => Assert.Equal(namesMtu ? 1400 : null, link.TryGetProperty("mtu", out var mtu) ? mtu.GetInt32() : (int?)null));
        Assert.Equal((pod, "default", "web-0", "uid"), (add.Json.GetProperty("interfaces")[1].GetProperty("sandbox").GetString(), node.Silo.Asked.First().Pod.Namespace, node.Silo.Asked.First().Pod.Name, node.Silo.Asked.First().Pod.Uid));
        Assert.True(node.Silo.Asked.TryDequeue(out _));
        Assert.Equal(0, (await PluginClient.AskAsync(node.Socket, PluginClient.Environment("DEL", "c1", pod, "web-0"), CniChecks.ConfigWith(add.Output, version), pod)).ExitCode);
    }

    [Fact]
    public async Task What_plugins_before_us_gave_stays_in_the_result_and_CHECK_takes_it()
    {
        const string Before = """{"cniVersion":"1.0.0","interfaces":[{"name":"br0","mac":"02:00:00:00:00:01"},{"name":"extra","sandbox":"/n","socketPath":"/s"}],"ips":[{"address":"192.168.1.7/24","interface":1}],"routes":[{"dst":"192.168.0.0/16","gw":"192.168.1.1"}],"dns":{"nameservers":["192.168.1.1"]}}""";
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var pod = node.AddPod("pod");
        var add = await PluginClient.AddAsync(node.Socket, "c1", pod, config: CniChecks.ConfigWith(Before));

        var before = JsonDocument.Parse(Before).RootElement;
        Assert.Equal(before.GetProperty("interfaces").EnumerateArray().Select(link => link.ToString()), add.Json.GetProperty("interfaces").EnumerateArray().Take(2).Select(link => link.ToString()));
        Assert.Equal("eth0", add.Json.GetProperty("interfaces")[3].GetProperty("name").GetString());
        Assert.Equal([1, 3], add.Json.GetProperty("ips").EnumerateArray().Select(ip => ip.GetProperty("interface").GetInt32()));
        Assert.Equal(["192.168.0.0/16", "0.0.0.0/0"], add.Json.GetProperty("routes").EnumerateArray().Select(route => route.GetProperty("dst").GetString()));
        Assert.Equal(before.GetProperty("dns").ToString(), add.Json.GetProperty("dns").ToString());
        Assert.Equal(new PluginAnswer(0, ""), await CniChecks.CheckAsync(node, "c1", pod, CniChecks.ConfigWith(add.Output)));
    }

    [Theory]
    [InlineData("""{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"/n"}]}""", "prevResult has an interface eth0 in the pod already, and aws-vpc-cni makes that interface: put it first")]
    [InlineData("""{"interfaces":[{"name":"net0","sandbox":"/n"}],"routes":[{"dst":"0.0.0.0/0","gw":"192.168.1.1"}]}""", "prevResult has a default route in the pod already")]
    [InlineData("""{"cniVersion":"0.4.0"}""", "cniVersion is 0.4.0, the configuration's 1.0.0")]
    [InlineData("""{"ips":[{"address":"x"}]}""", "ips: x")]
    public async Task Behind_a_plugin_that_has_made_the_interface_or_its_route_an_ADD_is_refused_and_leaves_nothing(string previous, string said)
    {
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var before = node.Snapshot();

        var add = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("pod"), config: CniChecks.ConfigWith(previous));
        Assert.Equal((1, 7), (add.ExitCode, add.ErrorCode));
        Assert.Contains(said, add.Message, StringComparison.Ordinal);
        Assert.Empty(node.Silo.Asked);
        Assert.Equal(before, node.Snapshot());
    }
}
