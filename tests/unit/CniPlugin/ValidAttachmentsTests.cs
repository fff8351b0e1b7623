using System.Text;
using AwsVpcCni.CniProtocol;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.CniPlugin;

public sealed class ValidAttachmentsTests
{
    [Fact]
    public void Container_and_link_are_read_and_unknown_keys_passed_over() => Assert.Equal(
        [("a", "eth0"), ("a", "net1")],
        Parse("""{"cni.dev/valid-attachments":[{"containerID":"a","ifname":"eth0","x":1},{"containerID":"a","ifname":"net1"},{"containerID":"a","ifname":"eth0"}]}""").Order());

    [Fact]
    public void Any_list_is_read_whole_or_refused() => Gen.Int[0, Entries.Length - 1].Array[0, 5].Sample(entries =>
    {
        var json = $"{{\"cni.dev/valid-attachments\":[{string.Join(',', entries.Select(entry => Entries[entry]))}]}}";
        try
        {
            Assert.Equal(entries.Length > 0, Parse(json).Count > 0);
            Assert.All(entries, entry => Assert.Equal(0, entry));
        }
        catch (CniException e)
        {
            Assert.Equal(CniErrorCode.InvalidNetworkConfig, e.Error.Code);
            Assert.Contains(entries, entry => entry > 0);
        }
    });

    /// <summary>Only the first is good.</summary>
    private static readonly string[] Entries =
    [
        """{"containerID":"c","ifname":"eth0"}""", "null", "1", "[]", "{}", """{"containerID":1,"ifname":"eth0"}""", """{"containerID":"c","ifname":""}""",
        """{"containerid":"c","ifname":"eth0"}""",
    ];

    private static HashSet<(string ContainerId, string IfName)> Parse(string json) => ValidAttachments.Parse(Encoding.UTF8.GetBytes(json));
}
