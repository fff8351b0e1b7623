using System.Text.RegularExpressions;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>What the executor's log says of pods: one line an event, with all that names it.</summary>
public sealed class EventLinesTests
{
    [Fact]
    public async Task An_event_is_one_line_with_pod_sandbox_address_interface_and_duration()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Silo.Policy = new(0, 0);
        var executor = await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var (first, second) = (node.AddPod("p1"), node.AddPod("p2"));

        var add = await PluginClient.AddAsync(node.Socket, "c1", first);
        await CniChecks.CheckAsync(node, "c1", first, CniChecks.ConfigWith(add.Output)); // As it should be: nothing to say.
        node.Ip("rule", "delete", "priority", "512");
        await CniChecks.CheckAsync(node, "c1", first, CniChecks.ConfigWith(add.Output));
        await PluginClient.DelAsync(node.Socket, "c1");
        await PluginClient.DelAsync(node.Socket, "never-seen");
        await PluginClient.AddAsync(node.Socket, "c2", second, config: "{");
        await PluginClient.AddAsync(node.Socket, "c2", second, pod: "web-1");
        node.Silo.HasNothing = true;
        using (PluginClient.Send(node.Socket, PluginClient.Environment("ADD", "c3", second, "web-2"), PluginClient.Config, second))
        {
            await node.Silo.ReportAsync(report => report.Waiting.Length == 1);
        }

        await node.Silo.ReportAsync(report => report.Waiting.Length == 0);
        await PluginClient.AskAsync(node.Socket, "CNI_COMMAND=NONE\0", PluginClient.Config, null);
        await PluginClient.AskAsync(node.Socket, "CNI_COMMAND=GC\0", """{"cniVersion":"1.1.0","name":"aws-cni","type":"aws-vpc-cni","cni.dev/valid-attachments":[]}""", null);

        var (_, said) = await executor.TerminateAsync();
        string[] expected =
        [
            @"Information 3221 ADD default/web-0 sandbox c1/eth0: 10\.0\.0\.20 of eni-a on eni\w+ in MS: MS to the claim, MS of wiring\.",
            @"Warning 3242 CHECK default/web-0 sandbox c1/eth0 failed after MS with code 104: c1/eth0 \(default/web-0, 10\.0\.0\.20 of eni-a\) is not as its ADD made it: .*",
            @"Information 3231 DEL default/web-0 sandbox c1/eth0: had 10\.0\.0\.20 of eni-a, in MS\.",
            @"Information 3232 DEL sandbox never-seen/eth0: had no address, in MS\.",
            @"Warning 3242 ADD default/web-0 sandbox c2/eth0 failed after MS with code 6: .*",
            @"Information 3221 ADD default/web-1 sandbox c2/eth0: 10\.0\.0\.2\d of eni-a on eni\w+ in MS: MS to the claim, MS of wiring\.",
            @"Warning 3242 ADD default/web-2 sandbox c3/eth0 failed after MS with code 11: its plugin has gone, or the executor is stopping",
            @"Warning 3242 A request of the plugin failed after MS with code 4: .*",
            @"Information 3271 GC aws-cni: the runtime does not list sandbox c2/eth0 \(default/web-1\); 10\.0\.0\.2\d of eni-a is released, after MS\.",
            @"Information 3272 GC aws-cni: 0 attachments listed, 1 sandboxes released, 0 left since they are being served, 0 of an unknown network, in MS\.",
        ];
        var lines = said.Split('\n').Where(line => Regex.IsMatch(line, @"^\S+Z \w+ 32\d\d ")).Select(line => line[(line.IndexOf(' ', StringComparison.Ordinal) + 1)..]).ToList();
        Assert.Equal(expected.Length, lines.Count);
        Assert.All(expected.Zip(lines), pair => Assert.True(Regex.IsMatch(pair.Second, $"^{pair.First.Replace("MS", @"[\d.]+ ms", StringComparison.Ordinal)}$"), pair.Second));
    }
}
