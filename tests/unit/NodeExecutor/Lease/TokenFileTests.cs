using System.Buffers.Text;
using System.Text;
using AwsVpcCni.NodeExecutor.Lease;
using Xunit;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Lease;

public sealed class TokenFileTests : IDisposable
{
    private readonly string directory = Directory.CreateTempSubdirectory("token-test-").FullName;

    public void Dispose() => Directory.Delete(directory, recursive: true);

    private static string Token(string claims) => $"e30.{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(claims))}.c2ln";

    [Fact]
    public void A_token_says_for_which_instance_it_is() =>
        Assert.Equal("i-1", TokenFile.InstanceOf(Token("""{"aws-vpc-cni/instance-id":"i-1"}""")));

    [Fact]
    public void A_service_accounts_token_names_no_instance_and_is_known_as_one()
    {
        var token = Token("""{"kubernetes.io":{"namespace":"kube-system","node":{"name":"n","uid":"u"}}}""");

        Assert.True(TokenFile.IsOfKubernetes(token));
        Assert.Null(TokenFile.InstanceOf(token));
        Assert.False(TokenFile.IsOfKubernetes(Token("""{"aws-vpc-cni/instance-id":"i-1"}""")));
        Assert.False(TokenFile.IsOfKubernetes("nonsense"));
    }

    [Fact]
    public void A_projected_token_is_read_again_when_kubelet_has_swapped_the_folder_behind_it()
    {
        // As kubelet lays it out: token -> ..data/token, ..data -> ..1.
        foreach (var (folder, text) in new[] { ("..1", "first"), ("..2", "second, longer") })
        {
            Directory.CreateDirectory(Path.Combine(directory, folder));
            File.WriteAllText(Path.Combine(directory, folder, "token"), text);
        }

        Directory.CreateSymbolicLink(Path.Combine(directory, "..data"), "..1");
        File.CreateSymbolicLink(Path.Combine(directory, "token"), "..data/token");
        var token = new TokenFile(Path.Combine(directory, "token"));
        Assert.Equal("first", token.Read());

        Directory.Delete(Path.Combine(directory, "..data")); // The link. Kubelet renames another one over it.
        Directory.CreateSymbolicLink(Path.Combine(directory, "..data"), "..2");

        Assert.Equal("second, longer", token.Read());
    }

    [Theory]
    [InlineData("")]
    [InlineData("a.b")]
    [InlineData("e30.%%%.c2ln")]
    [InlineData("e30.bm8ganNvbg.c2ln")]
    public void What_is_no_token_names_no_instance(string text) => Assert.Null(TokenFile.InstanceOf(text));

    [Theory]
    [InlineData("[]")]
    [InlineData("""{"aws-vpc-cni/instance-id":["i-1","i-2"]}""")]
    [InlineData("""{"aws-vpc-cni/instance-id":"\ud800"}""")]
    [InlineData("""{"aws-vpc-cni/instance-id":"i-1","\ud800 is longer than the claim's name":1}""")]
    public void A_token_without_one_instance_names_none(string claims) => Assert.Null(TokenFile.InstanceOf(Token(claims)));

    [Fact]
    public void A_token_that_was_renewed_by_swapping_a_link_is_read_again()
    {
        File.WriteAllText(Path.Combine(directory, "one"), "first\n");
        File.WriteAllText(Path.Combine(directory, "two"), "second, longer\n");
        var link = Path.Combine(directory, "token");
        File.CreateSymbolicLink(link, "one");
        var token = new TokenFile(link);
        Assert.Equal("first", token.Read());
        File.Delete(link);
        File.CreateSymbolicLink(link, "two");

        Assert.Equal("second, longer", token.Read());
    }
}
