using System.Text;
using AwsVpcCni.CniProtocol;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.CniPlugin;

public sealed class CniCallTests
{
    private const string Netns = "/var/run/netns/cni-1";

    [Fact]
    public void What_containerd_sends_is_read_whole()
    {
        var call = Parse(
            "CNI_COMMAND=ADD",
            "CNI_CONTAINERID=0a1b",
            "CNI_NETNS=" + Netns,
            "CNI_IFNAME=eth0",
            "CNI_PATH=/opt/cni/bin",
            "CNI_ARGS=IgnoreUnknown=1;K8S_POD_UID=u-1;K8S_POD_NAME=nginx;K8S_POD_NAMESPACE=default;K8S_POD_INFRA_CONTAINER_ID=0a1b");

        Assert.Equal(new CniCall(CniCommand.Add, "0a1b", Netns, "eth0", new CniArgs("default", "nginx", "u-1", "0a1b")), call);
    }

    [Theory]
    [InlineData("CNI_COMMAND")]
    [InlineData("CNI_CONTAINERID")]
    [InlineData("CNI_IFNAME")]
    [InlineData("CNI_NETNS")]
    public void An_add_without_it_names_what_is_missing(string missing)
    {
        string[] all = ["CNI_COMMAND=ADD", "CNI_CONTAINERID=a", "CNI_NETNS=/n", "CNI_IFNAME=eth0"];
        var left = all.Where(v => !v.StartsWith(missing + "=", StringComparison.Ordinal)).ToArray();

        Assert.Contains(missing, Refused(left), StringComparison.Ordinal);
        Assert.Contains(missing, Refused([.. left, missing + "="]), StringComparison.Ordinal); // Empty is as good as absent.
    }

    [Fact]
    public void A_del_needs_no_netns_and_reads_no_arguments() => Assert.Equal(
        new CniCall(CniCommand.Del, "a", "", "eth0", CniArgs.None),
        Parse("CNI_COMMAND=DEL", "CNI_CONTAINERID=a", "CNI_NETNS=", "CNI_IFNAME=eth0", "CNI_ARGS=broken"));

    [Theory]
    [InlineData("GC", CniCommand.Gc)]
    [InlineData("STATUS", CniCommand.Status)]
    [InlineData("VERSION", CniCommand.Version)]
    public void A_command_about_no_container_needs_nothing_else(string text, CniCommand command) =>
        Assert.Equal(new CniCall(command, "", "", "", CniArgs.None), Parse("CNI_COMMAND=" + text));

    [Theory]
    [InlineData("add")]
    [InlineData("UPDATE")]
    public void Another_command_is_refused(string command) => Assert.Contains(command, Refused("CNI_COMMAND=" + command), StringComparison.Ordinal);

    [Theory]
    [InlineData("a", true)]
    [InlineData("0A1b_c.d-e", true)]
    [InlineData("-a", false)]
    [InlineData("a/b", false)]
    [InlineData("a b", false)]
    [InlineData("ä", false)]
    [InlineData("../../etc", false)]
    public void A_container_id_has_the_specifications_form(string id, bool valid) =>
        Assert.Equal(valid, Accepts("CNI_COMMAND=DEL", "CNI_CONTAINERID=" + id, "CNI_IFNAME=eth0"));

    [Fact]
    public void A_container_id_has_a_bound()
    {
        Assert.True(Accepts("CNI_COMMAND=DEL", "CNI_CONTAINERID=" + new string('a', CniCall.MaxContainerIdLength), "CNI_IFNAME=eth0"));
        Assert.False(Accepts("CNI_COMMAND=DEL", "CNI_CONTAINERID=" + new string('a', CniCall.MaxContainerIdLength + 1), "CNI_IFNAME=eth0"));
    }

    [Theory]
    [InlineData("eth0", true)]
    [InlineData("fifteen-letters", true)]
    [InlineData("sixteen-letters!", false)]
    [InlineData(".", false)]
    [InlineData("..", false)]
    [InlineData("a/b", false)]
    [InlineData("a:b", false)]
    [InlineData("a b", false)]
    [InlineData("eth%d", false)] // The kernel would choose a number for it.
    [InlineData("é", false)]
    public void A_link_name_is_one_that_the_kernel_takes_as_it_is(string name, bool valid) =>
        Assert.Equal(valid, Accepts("CNI_COMMAND=DEL", "CNI_CONTAINERID=a", "CNI_IFNAME=" + name));

    [Fact]
    public void Bytes_that_are_no_text_are_refused() =>
        Assert.Equal(CniErrorCode.InvalidEnvironment, Assert.Throws<CniException>(() => CniCall.Parse([.. "CNI_COMMAND="u8, 0xff, 0])).Error.Code);

    [Fact]
    public void A_cut_off_environment_is_refused_and_never_crashes()
    {
        var whole = Bytes("CNI_COMMAND=ADD", "CNI_CONTAINERID=a", "CNI_NETNS=/n", "CNI_IFNAME=eth0", "CNI_ARGS=K8S_POD_NAME=p");
        Gen.Int[0, whole.Length - 1].Sample(length => IsCallOrError(whole[..length]));
    }

    [Fact]
    public void Any_bytes_are_a_call_or_a_cni_error() => Gen.Byte.Array[0, 200].Sample(IsCallOrError);

    private static bool IsCallOrError(byte[] environment)
    {
        try
        {
            CniCall.Parse(environment);
            return true;
        }
        catch (CniException e)
        {
            return e.Error.Code is CniErrorCode.InvalidEnvironment && e.Error.Message.Length > 0;
        }
    }

    private static byte[] Bytes(params string[] variables) => Encoding.UTF8.GetBytes(string.Concat(variables.Select(v => v + "\0")));

    private static CniCall Parse(params string[] variables) => CniCall.Parse(Bytes(variables));

    private static bool Accepts(params string[] variables) => Record.Exception(() => Parse(variables)) switch
    {
        null => true,
        CniException => false,
        var other => throw other,
    };

    private static string Refused(params string[] variables)
    {
        var error = Assert.Throws<CniException>(() => Parse(variables)).Error;
        Assert.Equal(CniErrorCode.InvalidEnvironment, error.Code);
        return error.Message;
    }
}
