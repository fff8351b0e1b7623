using System.Text;
using AwsVpcCni.CniProtocol;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor;
using AwsVpcCni.NodeExecutor.Cni;
using Xunit;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Cni;

public sealed class AddCommandTests
{
    [Fact]
    public void A_pods_loopback_link_is_not_made_a_second_time()
    {
        var conf = NetConf.Parse(Encoding.UTF8.GetBytes("""{"cniVersion":"1.0.0","name":"aws-cni","type":"aws-vpc-cni"}"""));
        var refused = Assert.Throws<CniException>(() => AddCommand.VethOf(new SandboxKey("c1", "lo"), new PodName("default", "nginx", ""), conf, new HostNetworkSettings()));
        Assert.Equal(CniErrorCode.InvalidEnvironment, refused.Error.Code);
        Assert.Contains("CNI_IFNAME=lo", refused.Message, StringComparison.Ordinal);
    }
}
