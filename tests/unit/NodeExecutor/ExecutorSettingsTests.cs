using AwsVpcCni.NodeExecutor;
using AwsVpcCni.NodeExecutor.Lease;
using Xunit;

namespace AwsVpcCni.Tests.Unit.NodeExecutor;

public sealed class ExecutorSettingsTests : IDisposable
{
    private readonly string file = Path.GetTempFileName();
    private readonly Dictionary<string, string> environment = new(StringComparer.Ordinal);

    public ExecutorSettingsTests()
    {
        environment["AWS_VPC_CNI_CONFIG"] = file;
        File.WriteAllText(file, """{"silos":["http://10.0.0.4:8001"],"tokenFile":"/run/token","mtu":1500}""");
    }

    public void Dispose() => File.Delete(file);

    private ExecutorSettings Read() => ExecutorSettings.Read(environment.GetValueOrDefault);

    [Fact]
    public void The_file_says_what_the_environment_does_not()
    {
        environment["AWS_VPC_CNI_MTU"] = "9001";

        Assert.Equal((9001, "/run/token", new Uri("http://10.0.0.4:8001")), (Read().Mtu, Read().TokenFile, Read().Silos.Single()));
    }

    [Fact]
    public void Several_silos_stand_with_commas_between()
    {
        environment["AWS_VPC_CNI_SILOS"] = "http://a:1, https://b:2";

        Assert.Equal([new Uri("http://a:1"), new Uri("https://b:2")], Read().Silos);
    }

    [Fact]
    public void All_that_is_wrong_is_named_at_once()
    {
        File.WriteAllText(file, """{"unknownKey":1}""");
        environment["AWS_VPC_CNI_SILOS"] = "ftp://a";
        environment["AWS_VPC_CNI_MTU"] = "100";
        environment["AWS_VPC_CNI_LOG_LEVEL"] = "loud";

        var message = Assert.Throws<ExecutorStoppedException>(Read).Message;
        Assert.All(["unknownKey", "AWS_VPC_CNI_SILOS", "AWS_VPC_CNI_MTU=100", "AWS_VPC_CNI_LOG_LEVEL=loud", "AWS_VPC_CNI_TOKEN_FILE is not set"],
            text => Assert.Contains(text, message, StringComparison.Ordinal));
    }
}
