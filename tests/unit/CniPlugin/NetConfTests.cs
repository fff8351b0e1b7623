using System.Text;
using AwsVpcCni.CniProtocol;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.CniPlugin;

public sealed class NetConfTests
{
    private const string Least = """{"cniVersion":"1.0.0","name":"aws-cni","type":"aws-vpc-cni"}""";

    [Fact]
    public void The_least_config_gets_the_defaults()
    {
        var conf = Parse(Least);

        Assert.Equal((CniVersion.V100, "aws-cni", "aws-vpc-cni", (int?)null), (conf.Version, conf.Name, conf.Type, conf.Mtu));
        Assert.Null(conf.PrevResult);
    }

    [Fact]
    public void Keys_of_others_are_allowed() =>
        Assert.Equal("aws-cni", Parse(With("\"capabilities\":{\"portMappings\":true},\"x\":[1,null]")).Name);

    [Theory]
    [InlineData("0.3.1", CniVersion.V031)]
    [InlineData("0.4.0", CniVersion.V040)]
    [InlineData("1.0.0", CniVersion.V100)]
    [InlineData("1.1.0", CniVersion.V110)]
    public void Four_versions_are_spoken(string text, CniVersion version)
    {
        Assert.Equal(version, Parse(Least.Replace("1.0.0", text, StringComparison.Ordinal)).Version);
        Assert.Equal(text, version.Text());
    }

    [Theory]
    [InlineData("\"mtu\":1500", 1500)]
    [InlineData("\"mtu\":\"9001\"", 9001)] // As amazon-vpc-cni-k8s writes it.
    [InlineData("\"mtu\":576", 576)]
    public void An_mtu_is_a_number_or_its_text(string key, int mtu) => Assert.Equal(mtu, Parse(With(key)).Mtu);

    [Fact]
    public void A_previous_result_stays_as_it_is()
    {
        var conf = Parse(With("\"prevResult\":{ \"ips\" : [ ] }"));

        Assert.Equal("{ \"ips\" : [ ] }", conf.PrevResult);
        Assert.Null(Parse(With("\"prevResult\":null")).PrevResult);
    }

    [Theory]
    [InlineData("", CniErrorCode.DecodingFailure, "no JSON")]
    [InlineData("{", CniErrorCode.DecodingFailure, "no JSON")]
    [InlineData("[]", CniErrorCode.DecodingFailure, "Array")]
    [InlineData("{}", CniErrorCode.IncompatibleVersion, "cniVersion")]
    [InlineData("""{"cniVersion":"0.2.0","name":"a","type":"b"}""", CniErrorCode.IncompatibleVersion, "0.2.0")]
    [InlineData("""{"cniVersion":"2.0.0","name":"a","type":"b"}""", CniErrorCode.IncompatibleVersion, "0.3.1, 0.4.0, 1.0.0, 1.1.0")]
    [InlineData("""{"cniVersion":1,"name":"a","type":"b"}""", CniErrorCode.InvalidNetworkConfig, "cniVersion")]
    [InlineData("""{"cniVersion":"1.0.0","type":"b"}""", CniErrorCode.InvalidNetworkConfig, "name")]
    [InlineData("""{"cniVersion":"1.0.0","name":"a b","type":"b"}""", CniErrorCode.InvalidNetworkConfig, "name")]
    [InlineData("""{"cniVersion":"1.0.0","name":"\ud800","type":"b"}""", CniErrorCode.DecodingFailure, "no JSON")]
    [InlineData("""{"cniVersion":"1.0.0","name":"a","type":"b","prevResult":{"dns":{"x":["\ud800"]}}}""", CniErrorCode.DecodingFailure, "no JSON")]
    [InlineData("""{"\ud800 is longer than the keys":1,"cniVersion":"1.0.0","name":"a","type":"b"}""", CniErrorCode.DecodingFailure, "no JSON")]
    [InlineData("""{"cniVersion":"1.0.0","name":"a"}""", CniErrorCode.InvalidNetworkConfig, "type")]
    public void A_refusal_says_what_is_wrong(string stdin, CniErrorCode code, string said) => Refused(stdin, code, said);

    [Fact]
    public void What_is_no_UTF_8_is_refused_wherever_it_stands()
    {
        var stdin = Encoding.Latin1.GetBytes(With("\"prevResult\":{\"x\":\"\u00ff\"}"));
        Assert.Equal(CniErrorCode.DecodingFailure, Assert.Throws<CniException>(() => NetConf.Parse(stdin)).Error.Code);
        Assert.Null(NetConf.VersionOf(stdin));
    }

    [Fact]
    public void A_refusal_of_a_very_long_text_fits_into_a_reply()
    {
        var error = Assert.Throws<CniException>(() => Parse(Least.Replace("aws-cni", new string('+', 1_000_000), StringComparison.Ordinal))).Error;
        Assert.InRange(error.ToJson(null).Length, CniError.MaxTextLength, 7 * CniError.MaxTextLength);
    }

    [Theory]
    [InlineData("\"mtu\":575", "575")]
    [InlineData("\"mtu\":9002", "9002")]
    [InlineData("\"mtu\":1.5", "mtu")]
    [InlineData("\"mtu\":\"\"", "mtu")]
    [InlineData("\"mtu\":true", "mtu")]
    [InlineData("\"prevResult\":[]", "prevResult")]
    public void A_wrong_value_is_named(string key, string said) => Refused(With(key), CniErrorCode.InvalidNetworkConfig, said);

    [Theory]
    [InlineData("""{"cniVersion":"0.4.0"}""", CniVersion.V040)]
    [InlineData("""{"cniVersion":4}""", null)]
    [InlineData("""{"cniVersion":"\ud800"}""", null)]
    [InlineData("""{"cniVersion":"1.0.0","\ud800 is longer than the key":1}""", null)]
    [InlineData("[]", null)]
    [InlineData("{", null)]
    public void The_version_of_a_bad_config_is_had_where_possible(string stdin, CniVersion? version) =>
        Assert.Equal(version, NetConf.VersionOf(Encoding.UTF8.GetBytes(stdin)));

    [Fact]
    public void A_changed_byte_gives_a_config_or_a_cni_error()
    {
        var whole = Encoding.UTF8.GetBytes(With("\"mtu\":1500,\"x\":\"eni\",\"prevResult\":{\"a\":1}"));
        Gen.Select(Gen.Int[0, whole.Length - 1], Gen.Byte, Gen.Int[0, whole.Length]).Sample((at, value, length) =>
        {
            var changed = whole.ToArray();
            changed[at] = value;
            NetConf.VersionOf(changed.AsMemory(0, length));
            return Record.Exception(() => NetConf.Parse(changed.AsMemory(0, length))) is null or CniException;
        });
    }

    private static NetConf Parse(string stdin) => NetConf.Parse(Encoding.UTF8.GetBytes(stdin));

    private static string With(string key) => Least[..^1] + "," + key + "}";

    private static void Refused(string stdin, CniErrorCode code, string said)
    {
        var error = Assert.Throws<CniException>(() => Parse(stdin)).Error;

        Assert.Equal(code, error.Code);
        Assert.Contains(said, error.Message, StringComparison.Ordinal);
    }
}
