using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Unit.VpcEmulator;

public sealed class InterfaceRulesTests
{
    private readonly TestVpc _test = new();

    private Vpc Vpc => _test.Vpc;

    [Fact]
    public void A_launched_instance_has_a_primary_interface_that_dies_with_it()
    {
        var primary = _test.Primary;
        Assert.Equal((EniStatus.InUse, true, 0), (primary.Status, primary.Attachment!.DeleteOnTermination, primary.Attachment.DeviceIndex));
        Assert.Equal(AttachmentStatus.Attached, primary.Attachment.Status);
        Assert.Equal(TestVpc.Ips("10.0.1.10"), primary.Addresses);
        Assert.Equal(["sg-02"], primary.Groups); // The group that is named default.
        Assert.IsType<VpcEvent.InstanceLaunched>(_test.Events[0]);
        Assert.IsType<VpcEvent.InterfaceAttached>(_test.Events[1]);
    }

    [Fact]
    public void An_instance_has_the_further_interfaces_that_its_launch_template_names()
    {
        var instance = Vpc.Launch(new()
        {
            Type = "m5.large", Subnet = TestVpc.Subnet, FurtherInterfaces = [new() { Address = "10.0.1.50", SecondaryAddresses = ["10.0.1.51", "10.0.1.52"] }, new()],
        });
        var enis = Vpc.EnisOf(instance).OrderBy(eni => eni.Attachment!.DeviceIndex).ToList();
        Assert.Equal([0, 1, 2], enis.Select(eni => eni.Attachment!.DeviceIndex));
        Assert.All(enis, eni => Assert.Equal((AttachmentStatus.Attached, true), (eni.Attachment!.Status, eni.Attachment.DeleteOnTermination)));
        Assert.Equal(TestVpc.Ips("10.0.1.50", "10.0.1.51", "10.0.1.52"), enis[1].Addresses);
    }

    [Theory]
    [InlineData(3, 0)] // An m5.large has three interfaces in all,
    [InlineData(1, 10)] // of ten addresses each.
    public void A_launch_template_cannot_give_more_than_the_type_takes(int interfaces, int addresses) =>
        Assert.Equal("PrivateIpAddressLimitExceeded", Assert.Throws<Ec2Exception>(() => Vpc.Launch(new()
        {
            Type = "m5.large", Subnet = TestVpc.Subnet,
            FurtherInterfaces = [.. Enumerable.Range(0, interfaces).Select(_ => new FurtherInterface { SecondaryAddresses = [.. Enumerable.Range(60, addresses).Select(n => $"10.0.1.{n}")] })],
        })).Code);

    [Fact]
    public void A_created_interface_is_pending_and_becomes_available()
    {
        var eni = _test.Create();
        Assert.Equal(EniStatus.Pending, eni.Status);
        Assert.Equal(_test.Time.GetUtcNow() + TimeSpan.FromMilliseconds(500), Vpc.NextDue);
        _test.Settle();
        Assert.Equal(EniStatus.Available, eni.Status);
    }

    [Fact]
    public void Transitions_may_take_longer_each_by_the_seeds_choice()
    {
        var test = new TestVpc(seed: 1, spreadPercent: 900);
        var times = Enumerable.Range(0, 20).Select(_ =>
        {
            test.Settle();
            test.Create();
            return (test.Vpc.NextDue!.Value - test.Time.GetUtcNow()).TotalMilliseconds;
        }).ToList();
        Assert.All(times, time => Assert.InRange(time, 500, 5000));
        Assert.True(times.Max() - times.Min() > 1000);
    }

    [Fact]
    public void The_same_token_and_parameters_show_the_same_interface()
    {
        var first = _test.Create(token: "t", primary: "10.0.1.77");
        _test.Settle();
        Assert.Same(first, _test.Create(token: "t", primary: "10.0.1.77"));
        Assert.NotSame(first, _test.Create(token: "T"));
        _test.Refused("IdempotentParameterMismatch",
            "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
            _ => _test.Create(token: "t", primary: "10.0.1.78"));
    }

    [Fact]
    public void A_token_of_a_deleted_interface_makes_no_second_one()
    {
        var eni = _test.Create(token: "t");
        Vpc.DeleteNetworkInterface(eni.Id);
        _test.Refused("InvalidNetworkInterfaceID.NotFound", $"The networkInterface ID '{eni.Id}' does not exist", _ => _test.Create(token: "t"));
        _test.Time.Advance(TimeSpan.FromHours(25));
        Assert.NotEqual(eni.Id, _test.Create(token: "t").Id);
    }

    [Fact]
    public void An_attached_interface_is_seen_by_its_instance_only_when_it_is_attached()
    {
        var eni = _test.Create();
        var attachment = Vpc.AttachNetworkInterface(eni.Id, TestVpc.Node, 1);
        Assert.Equal((EniStatus.InUse, AttachmentStatus.Attaching, false), (eni.Status, attachment.Status, attachment.DeleteOnTermination));
        Vpc.AssignPrivateIpAddresses(eni.Id, TestVpc.Ips("10.0.1.99"), false);
        Assert.DoesNotContain(_test.Events, e => e is VpcEvent.AddressesChanged);
        _test.Settle();
        Assert.Equal(AttachmentStatus.Attached, attachment.Status);
        var seen = Assert.IsType<VpcEvent.InterfaceAttached>(_test.Events[^1]);
        Assert.Equal(eni.Addresses, seen.Addresses);
    }

    [Fact]
    public void A_detached_interface_becomes_available_and_keeps_its_addresses()
    {
        var eni = _test.Attached();
        var attachment = eni.Attachment!;
        Vpc.DetachNetworkInterface(attachment.Id);
        Assert.Equal((EniStatus.InUse, AttachmentStatus.Detaching), (eni.Status, attachment.Status));
        _test.Refused("IncorrectState", $"The interface attachment '{attachment.Id}' is detaching.", vpc => vpc.DetachNetworkInterface(attachment.Id));
        _test.Refused("InvalidParameterValue", $"Network interface '{eni.Id}' is currently in use.", vpc => vpc.DeleteNetworkInterface(eni.Id));
        _test.Settle();
        Assert.Equal((EniStatus.Available, null, 1), (eni.Status, eni.Attachment, eni.Addresses.Count));
        Assert.IsType<VpcEvent.InterfaceDetached>(_test.Events[^1]);
        _test.Refused("InvalidAttachmentID.NotFound", $"The interface attachment '{attachment.Id}' does not exist.",
            vpc => vpc.DetachNetworkInterface(attachment.Id));
        Vpc.DeleteNetworkInterface(eni.Id);
        Assert.Null(Vpc.FindEni(eni.Id));
    }

    [Fact]
    public void Device_0_stays() => _test.Refused("OperationNotPermitted",
        "The network interface at device index 0 and networkCard index 0 cannot be detached.",
        vpc => vpc.DetachNetworkInterface(_test.Primary.Attachment!.Id));

    [Fact]
    public void A_repeated_attach_is_refused_by_the_index_and_another_index_by_the_use()
    {
        var eni = _test.Attached();
        _test.Refused("InvalidParameterValue", "Instance 'i-01' already has an interface attached at device index '1'.",
            vpc => vpc.AttachNetworkInterface(eni.Id, TestVpc.Node, 1));
        _test.Refused("InvalidNetworkInterface.InUse", $"Interface: [{eni.Id}] in use.", vpc => vpc.AttachNetworkInterface(eni.Id, TestVpc.Node, 2));
    }

    [Fact]
    public void An_instance_takes_as_many_interfaces_as_its_type_allows()
    {
        _test.Attached();
        Vpc.AttachNetworkInterface(_test.Create().Id, TestVpc.Node, 2);
        var fourth = _test.Create();
        _test.Refused("AttachmentLimitExceeded", "Interface count 4 exceeds the limit for m5.large",
            vpc => vpc.AttachNetworkInterface(fourth.Id, TestVpc.Node, 3));
    }

    [Fact]
    public void An_interface_stays_in_its_zone()
    {
        var eni = _test.Create(TestVpc.Elsewhere);
        var refusal = Assert.Throws<Ec2Exception>(() => Vpc.AttachNetworkInterface(eni.Id, TestVpc.Node, 1));
        Assert.Equal("InvalidParameterCombination", refusal.Code);
    }

    [Fact]
    public void An_interface_with_more_addresses_than_the_type_allows_is_not_attached()
    {
        var eni = _test.Create(count: 10);
        _test.Refused("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.",
            vpc => vpc.AttachNetworkInterface(eni.Id, TestVpc.Node, 1));
    }

    [Fact]
    public void A_terminated_instance_takes_with_it_what_is_to_die_and_leaks_the_rest()
    {
        var stays = _test.Attached();
        var dies = _test.Create();
        Vpc.AttachNetworkInterface(dies.Id, TestVpc.Node, 2);
        _test.Settle();
        Vpc.ModifyDeleteOnTermination(dies.Id, dies.Attachment!.Id, true);
        var primary = _test.Primary;
        Vpc.Terminate(TestVpc.Node);
        _test.Refused("IncorrectInstanceState", "The shutting-down instance 'i-01' is not in a valid state for this operation.",
            vpc => vpc.AttachNetworkInterface(_test.OtherPrimary.Id, TestVpc.Node, 3));
        _test.Settle();
        Assert.Equal(InstanceState.Terminated, Vpc.FindInstance(TestVpc.Node)!.State);
        Assert.Null(Vpc.FindEni(primary.Id));
        Assert.Null(Vpc.FindEni(dies.Id));
        Assert.Equal((EniStatus.Available, null), (stays.Status, stays.Attachment));
        Assert.Equal(3, _test.Events.Count(e => e is VpcEvent.InterfaceDetached));
        Assert.IsType<VpcEvent.InstanceTerminated>(_test.Events[^1]);
        _test.Time.Advance(TimeSpan.FromHours(1));
        Vpc.Advance();
        Assert.Null(Vpc.FindInstance(TestVpc.Node));
    }

    [Fact]
    public void A_modify_names_the_present_attachment()
    {
        var eni = _test.Attached();
        _test.Refused("InvalidAttachmentID.NotFound", "The interface attachment 'eni-attach-01' does not exist.",
            vpc => vpc.ModifyDeleteOnTermination(eni.Id, "eni-attach-01", true));
        Vpc.ModifyDeleteOnTermination(eni.Id, eni.Attachment!.Id, true);
        Vpc.ModifyDeleteOnTermination(eni.Id, eni.Attachment.Id, true); // The same again is no error.
        Assert.True(eni.Attachment.DeleteOnTermination);
    }

    [Fact]
    public void Groups_are_known_and_at_most_five()
    {
        Vpc.ModifyGroups(_test.Primary.Id, ["sg-01", "sg-03"]);
        Assert.Equal(["sg-01", "sg-03"], _test.Primary.Groups);
        _test.Refused("InvalidGroup.NotFound", "The security group 'sg-99' does not exist", vpc => vpc.ModifyGroups(_test.Primary.Id, ["sg-01", "sg-99"]));
        var six = Assert.Throws<Ec2Exception>(() => Vpc.ModifyGroups(_test.Primary.Id, ["sg-01", "sg-02", "sg-03", "sg-04", "sg-05", "sg-06"]));
        Assert.Equal("SecurityGroupsPerInterfaceLimitExceeded", six.Code);
    }

    [Fact]
    public void The_account_has_a_quota_of_interfaces()
    {
        var test = new TestVpc(maximumInterfaces: 3);
        test.Create();
        Assert.Equal("NetworkInterfaceLimitExceeded", Assert.Throws<Ec2Exception>(() => test.Create()).Code);
    }

    [Fact]
    public void Tags_are_set_on_all_resources_or_none()
    {
        Vpc.CreateTags([_test.Primary.Id, TestVpc.Node], new Dictionary<string, string> { ["k"] = "v" });
        _test.Refused("InvalidInstanceID.NotFound", "The instance ID 'i-99' does not exist",
            vpc => vpc.CreateTags([_test.Primary.Id, "i-99"], new Dictionary<string, string> { ["k"] = "w" }));
        Vpc.DeleteTags([_test.Primary.Id], new Dictionary<string, string?> { ["k"] = "other", ["absent"] = null });
        Assert.Equal("v", _test.Primary.Tags["k"]);
        Vpc.DeleteTags([_test.Primary.Id], new Dictionary<string, string?> { ["k"] = null });
        Assert.Empty(_test.Primary.Tags);
        Assert.Equal("v", Vpc.FindInstance(TestVpc.Node)!.Tags["k"]);
    }

    [Theory]
    [InlineData("m5.large", 10, 3)]
    [InlineData("t3.small", 4, 3)]
    [InlineData("m5.4xlarge", 30, 8)]
    [InlineData("c5n.18xlarge", 50, 15)]
    [InlineData("p4d.24xlarge", 50, 15, 15, 15, 15)]
    public void The_table_of_types_says_what_EC2_says(string name, int addresses, params int[] cards)
    {
        var type = InstanceType.Find(name)!;
        Assert.Equal(addresses, type.Ipv4PerEni);
        Assert.Equal(cards, type.Cards);
        Assert.Equal(1391, InstanceType.All.Count());
    }
}
