using System.Text.Json.Nodes;
using AwsVpcCni.NodeExecutor.Cni;
using Xunit;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Cni;

public sealed class ConflistTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("conflist-test-");

    private string File => Path.Combine(folder.FullName, "net.d", "10-aws.conflist");

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public void Others_follow_our_plugin_in_their_order_each_with_what_it_needs()
    {
        Assert.False(Conflist.Write(File, "1.0.0", ["portmap", "bandwidth", "firewall"]));
        var expected = JsonNode.Parse("""
            {
              "cniVersion": "1.0.0",
              "name": "aws-cni",
              "plugins": [
                { "name": "aws-cni", "type": "aws-vpc-cni" },
                { "type": "portmap", "capabilities": { "portMappings": true }, "snat": true },
                { "type": "bandwidth", "capabilities": { "bandwidth": true } },
                { "type": "firewall" }
              ]
            }
            """);
        Assert.True(JsonNode.DeepEquals(expected, Written()), Written()!.ToJsonString());
    }

    [Fact]
    public void Alone_ours_makes_a_list_too()
    {
        Conflist.Write(File, "1.1.0", []);
        Assert.Equal("1.1.0", (string?)Written()!["cniVersion"]);
        Assert.Equal(["aws-vpc-cni"], Written()!["plugins"]!.AsArray().Select(plugin => (string?)plugin!["type"]));
    }

    [Fact]
    public void A_list_that_is_as_it_should_be_is_not_touched_and_another_one_is_replaced()
    {
        Conflist.Write(File, "1.0.0", ["portmap"]);
        var before = System.IO.File.ReadAllText(File);
        System.IO.File.SetLastWriteTimeUtc(File, DateTime.UnixEpoch);

        Assert.False(Conflist.Write(File, "1.0.0", ["portmap"]));
        Assert.Equal(DateTime.UnixEpoch, System.IO.File.GetLastWriteTimeUtc(File));

        System.IO.File.AppendAllText(File, "\n");
        Assert.True(Conflist.Write(File, "1.0.0", ["portmap"]));
        Assert.Equal(before, System.IO.File.ReadAllText(File));
    }

    private JsonNode? Written() => JsonNode.Parse(System.IO.File.ReadAllText(File));
}
