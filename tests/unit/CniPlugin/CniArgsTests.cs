using AwsVpcCni.CniProtocol;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.CniPlugin;

public sealed class CniArgsTests
{
    private static readonly string[] Pairs = ["IgnoreUnknown=1", "K8S_POD_NAMESPACE=ns", "K8S_POD_NAME=p", "K8S_POD_UID=u", "K8S_POD_INFRA_CONTAINER_ID=c", "OTHER=x"];

    [Fact]
    public void The_order_of_the_pairs_does_not_matter() =>
        Gen.Shuffle(Pairs).Sample(pairs => CniArgs.Parse(string.Join(';', pairs)) == new CniArgs("ns", "p", "u", "c"));

    [Theory]
    [InlineData("")]
    [InlineData(";")]
    [InlineData("IgnoreUnknown=true;X=y")]
    [InlineData("X=y;IgnoreUnknown=TRUE")]
    public void Nothing_about_a_pod_is_empty(string text) => Assert.Equal(CniArgs.None, CniArgs.Parse(text));

    [Theory]
    [InlineData("K8S_POD_NAME", "K8S_POD_NAME")]
    [InlineData("=x", "=x")]
    [InlineData("X=y", "X")]
    [InlineData("X=y;IgnoreUnknown=0", "X")]
    [InlineData("IgnoreUnknown=perhaps", "perhaps")]
    [InlineData("K8S_POD_NAME=a\nb", "K8S_POD_NAME")]
    public void A_refusal_names_the_pair(string text, string named)
    {
        var error = Assert.Throws<CniException>(() => CniArgs.Parse(text)).Error;

        Assert.Equal(CniErrorCode.InvalidEnvironment, error.Code);
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_value_has_a_bound()
    {
        var longest = new string('a', CniArgs.MaxValueLength);
        Assert.Equal(longest, CniArgs.Parse("K8S_POD_NAME=" + longest).PodName);
        Assert.Throws<CniException>(() => CniArgs.Parse("K8S_POD_NAME=a" + longest));
    }

    [Fact]
    public void A_value_may_hold_an_equals_sign() => Assert.Equal("a=b", CniArgs.Parse("K8S_POD_UID=a=b").PodUid);
}
