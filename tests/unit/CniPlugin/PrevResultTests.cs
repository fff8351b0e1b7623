using System.Net;
using System.Text;
using AwsVpcCni.CniProtocol;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.CniPlugin;

public sealed class PrevResultTests
{
    [Fact]
    public void Links_and_addresses_are_read_whatever_others_have_added()
    {
        var result = PrevResult.Parse(
            """
            {"cniVersion":"0.4.0","x":1,"interfaces":[{"name":"enia","mac":"02:00:00:00:00:0a"},{"name":"eth0","sandbox":"/n","y":{}},{"name":"ifb","sandbox":""}],
             "ips":[{"version":"4","interface":1,"address":"10.0.0.5/32","gateway":"169.254.1.1"},{"version":"6","address":"fd00::1/64"}]}
            """, CniVersion.V040);

        Assert.Equal([new("enia", "02:00:00:00:00:0a", null), new("eth0", null, "/n"), new("ifb", null, null)], result.Interfaces);
        Assert.Equal([new(IPAddress.Parse("10.0.0.5"), 1, IPAddress.Parse("169.254.1.1")), new(IPAddress.Parse("fd00::1"), null, null)], result.Ips);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"interfaces":null,"ips":null}""")]
    public void A_result_may_be_empty(string json)
    {
        var result = PrevResult.Parse(json, CniVersion.V100);

        Assert.Empty(result.Interfaces);
        Assert.Empty(result.Ips);
    }

    [Theory]
    [InlineData("""{"cniVersion":"0.3.1"}""", "cniVersion is 0.3.1, the configuration's 1.0.0")]
    [InlineData("""{"cniVersion":1}""", "cniVersion is no string")]
    [InlineData("""{"interfaces":{}}""", "interfaces is no list")]
    [InlineData("""{"routes":{}}""", "routes is no list")]
    [InlineData("""{"routes":[{"dst":1}]}""", "dst is no string")]
    [InlineData("""{"interfaces":[1]}""", "interfaces is no list of objects")]
    [InlineData("""{"interfaces":[{"mac":"x"}]}""", "one has no name")]
    [InlineData("""{"ips":[{}]}""", "one has no address")]
    [InlineData("""{"ips":[{"address":"10.0.0.5/32","interface":0}]}""", "10.0.0.5/32 is none of its 0")]
    [InlineData("""{"interfaces":[{"name":"a"}],"ips":[{"address":"10.0.0.5/32","interface":-1}]}""", "none of its 1")]
    [InlineData("""{"interfaces":[{"name":"a"}],"ips":[{"address":"10.0.0.5/32","interface":"0"}]}""", "none of its 1")]
    [InlineData("""{"ips":[{"address":"ten"}]}""", "ten")]
    [InlineData("""{"ips":[{"address":"10.0.0.5/32","gateway":"no"}]}""", "gateway")]
    public void What_is_wrong_in_it_is_named(string json, string said)
    {
        var refused = Assert.Throws<CniException>(() => PrevResult.Parse(json, CniVersion.V100));

        Assert.Equal(CniErrorCode.InvalidNetworkConfig, refused.Error.Code);
        Assert.Contains(said, refused.Error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_longest_fits_into_a_reply_with_ours_and_a_longer_one_is_refused()
    {
        static string Of(int length) => "{\"dns\":{\"x\":\"" + new string('+', length - 16) + "\"}}";
        var ours = new CniResult([new("eth0", "02:00:00:00:00:0b", new string('"', CniCall.MaxNetnsPathLength))], [], []);

        Assert.InRange(ours.ToJson(CniVersion.V110, PrevResult.Parse(Of(PrevResult.MaxLength), CniVersion.V110)).Length, 6 * (PrevResult.MaxLength - 16), Frame.MaxReplyBodySize);
        Assert.Throws<CniException>(() => PrevResult.Parse(Of(PrevResult.MaxLength + 1), CniVersion.V110));
    }

    [Fact]
    public void Any_JSON_object_is_read_or_refused() => Gen.Select(
            OneOf("interfaces", "ips", "cniVersion", "routes"),
            OneOf("null", "1", "\"1.0.0\"", "[]", "{}", "[{}]", "[null]", "[{\"name\":\"a\",\"sandbox\":3}]", "[{\"address\":\"1/2\"}]", "[{\"address\":\"::1/128\",\"interface\":9999999999}]"))
        .Array[0, 4].Sample(keys =>
        {
            var json = new StringBuilder("{");
            json.AppendJoin(',', keys.DistinctBy(key => key.Item1).Select(key => $"\"{key.Item1}\":{key.Item2}")).Append('}');
            try
            {
                PrevResult.Parse(json.ToString(), CniVersion.V100);
            }
            catch (CniException e)
            {
                Assert.Equal(CniErrorCode.InvalidNetworkConfig, e.Error.Code);
            }
        });

    private static Gen<string> OneOf(params string[] texts) => Gen.Int[0, texts.Length - 1].Select(at => texts[at]);
}
