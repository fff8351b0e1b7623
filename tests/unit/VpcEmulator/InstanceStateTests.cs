using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Unit.VpcEmulator;

public sealed class InstanceStateTests
{
    private readonly TestVpc _test = new();

    private Vpc Vpc => _test.Vpc;

    private Instance Node => Vpc.FindInstance(TestVpc.Node)!;

    [Fact]
    public void A_stopped_instance_keeps_its_interfaces_and_addresses_and_may_get_more()
    {
        Vpc.AssignIpv4Prefixes(_test.Primary.Id, TestVpc.Blocks("10.0.1.32/28"));
        var eni = _test.Create();
        Vpc.Stop(TestVpc.Node);
        Assert.Equal(InstanceState.Stopping, Node.State);
        Assert.Equal("IncorrectInstanceState", Assert.Throws<Ec2Exception>(() => Vpc.AttachNetworkInterface(eni.Id, TestVpc.Node, 1)).Code);
        _test.Settle();
        Assert.Equal(InstanceState.Stopped, Node.State);
        Assert.Equal(TestVpc.Blocks("10.0.1.32/28"), _test.Primary.Prefixes);
        Vpc.AttachNetworkInterface(eni.Id, TestVpc.Node, 1);
        Vpc.Stop(TestVpc.Node); // A repeat is no error.
        Vpc.Start(TestVpc.Node);
        _test.Settle();
        Assert.Equal((InstanceState.Running, 2), (Node.State, Vpc.EnisOf(Node).Count()));
    }

    [Fact]
    public void An_instance_that_ends_while_it_stops_ends()
    {
        Vpc.Stop(TestVpc.Node);
        Vpc.Terminate(TestVpc.Node);
        _test.Settle();
        Assert.Equal((InstanceState.Terminated, 0), (Node.State, Vpc.EnisOf(Node).Count()));
        _test.Refused("IncorrectInstanceState", $"The instance '{TestVpc.Node}' is not in a state from which it can be started.", vpc => vpc.Start(TestVpc.Node));
        _test.Refused("InvalidInstanceID.NotFound", "The instance ID 'i-99' does not exist", vpc => vpc.Stop("i-99"));
    }
}
