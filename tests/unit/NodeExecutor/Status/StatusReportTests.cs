using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Status;
using AwsVpcCni.NodeExecutor.Wiring;
using AwsVpcCni.Tests.Unit.NodeExecutor.Lease;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;
using static AwsVpcCni.Tests.Unit.NodeExecutor.Lease.LeaseBuilder;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Status;

/// <summary>The document and its text, from a lease in every state.</summary>
public sealed class StatusReportTests
{
    private readonly FakeTimeProvider time = new();
    private readonly Repairs repairs;

    public StatusReportTests() => repairs = new Repairs(time, NullLogger.Instance);

    /// <summary>At 100 s: 0 in use, 1 leaving, 2 cooling, 3 free, 4 on an interface that is not set up, 5 cooling and not leased any more; one ADD waits.</summary>
    private static NodeLease EveryState()
    {
        var lease = Node(6).WithClaim(1, 0, at: 10, turn: 1).WithClaim(2, 1, at: 20, turn: 2).WithClaim(3, 2, at: 30, turn: 3).WithClaim(4, 5, at: 30, turn: 3);
        lease = lease.Delete(Sandbox(2), 10, At(80)).Lease.WithDeleted(3, 2, at: 90, turn: 11).WithDeleted(4, 5, at: 95, turn: 12);
        lease = lease with
        {
            Policy = Policy,
            Interfaces = lease.Interfaces.Add(Eni, Interface(Eni)).Add("eni-b", Interface("eni-b") with { DeviceIndex = 1 }),
            Slots = lease.Slots.SetItem(Address(4), new Slot("eni-b", Leased: true, null, null)).SetItem(Address(5), lease.Slots[Address(5)] with { Leased = false }),
        };
        return lease.Begun(9, at: 70).Lease.Wait(Sandbox(9), new Reason(ReasonCode.SubnetEmpty, "subnet-1 is\nempty"));
    }

    private ExecutorStatus Report(NodeLease lease, int mostAddresses = 100, int mostWaiting = 10, string? failure = null, TimeSpan? looked = null) => StatusReport.Of(
        new LinkSnapshot(lease, At(100), "http://10.0.0.4:8440/", At(2.4), failure, Failures: 7, IsFileWritten: true), sandbox => $"veth-{sandbox.ContainerId}",
        new HostNetworkStatus(IsReady: true, Waiting: 0, new HostLook(looked ?? At(88), null)), repairs, began: At(5), mostAddresses, mostWaiting);

    [Fact]
    public void Each_address_is_in_one_state_and_the_figures_are_those_of_the_list()
    {
        var status = Report(EveryState());
        Assert.Equal(
            [
                ("10.0.0.10", AddressState.InUse), ("10.0.0.11", AddressState.Leaving), ("10.0.0.12", AddressState.Cooling), ("10.0.0.15", AddressState.Cooling),
                ("10.0.0.13", AddressState.Free), ("10.0.0.14", AddressState.NotUsable),
            ],
            status.Addresses.Select(one => (one.Address, one.State)));
        Assert.Equal(new LeaseStatus(1, status.Lease.Untold, IsFileWritten: true, Addresses: 6, InUse: 1, Leaving: 1, Cooling: 2, Free: 1, NotUsable: 1), status.Lease);
        Assert.Equal(new AddressStatus("10.0.0.10", Eni, AddressState.InUse, true, "default/web-0", "c1", "eth0", "aws-cni", "veth-c1", 90, null), status.Addresses[0]);
        Assert.Equal((20, true), (status.Addresses[2].RestsSeconds, status.Addresses[2].IsLeased));
        Assert.False(status.Addresses[3].IsLeased);
        Assert.Equal([(Eni, true, 5, 1), ("eni-b", false, 1, 0)], status.Interfaces.Select(one => (one.EniId, one.IsSetUp, one.Addresses, one.InUse)));
        Assert.Equal(new WaitingStatus("default/web-0", "c9", "eth0", 30, "SubnetEmpty", "subnet-1 is\nempty"), Assert.Single(status.Waiting));
    }

    [Fact]
    public void What_does_not_fit_is_counted_and_sandboxes_come_first()
    {
        var lease = EveryState().Begun(8, at: 60).Lease.Begun(7, at: 65).Lease;
        var status = Report(lease, mostAddresses: 2, mostWaiting: 2);
        Assert.Equal(["10.0.0.10", "10.0.0.11"], status.Addresses.Select(one => one.Address));
        Assert.Equal(["c8", "c7"], status.Waiting.Select(one => one.Sandbox)); // Those that have waited longest.
        Assert.Equal((4, 1, 6), (status.AddressesLeftOut, status.WaitingLeftOut, status.Lease.Addresses));
        Assert.Contains("... and 4 more\n", StatusText.Of(status), StringComparison.Ordinal);
    }

    [Fact]
    public void A_look_that_ends_meanwhile_was_just_now() => Assert.Equal(0, Report(Node(), looked: At(101)).Host.LookedSeconds);

    [Fact]
    public void A_reason_is_cut_short()
    {
        var lease = Node().Begun(1).Lease.Wait(Sandbox(1), new Reason(ReasonCode.Ec2Refused, new string('x', 5_000)));
        Assert.Equal(StatusReport.MaxReason + 3, Assert.Single(Report(lease).Waiting).Reason!.Length);
    }

    [Fact]
    public void The_text_says_all_of_it_in_lines()
    {
        repairs.Made(RepairKind.Rule, "add rule x");
        repairs.Made(RepairKind.Rule, "add rule y");
        time.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal(
            """
            node     i-1, incarnation 1, up for 1 m 35 s
            silo     http://10.0.0.4:8440/, last answer 2 s ago
                     ! No silo answers.
            host     rules and table are set, looked at 12 s ago
            lease    version 1; 6 addresses: 1 in use, 1 leaving, 2 cooling, 1 free, 1 not usable
            sync     3 ends that no silo has confirmed
            repairs  Rule 2 (last 3 s ago)

            INTERFACE  CARD  DEVICE  MAC                OWN ADDRESS  STATE       ADDRESSES  IN USE
            eni-a      0     0       02:00:00:00:00:01  10.0.0.5     set up      5          1
            eni-b      0     1       02:00:00:00:00:01  10.0.0.5     not set up  1          0

            ADDRESS    INTERFACE  STATE                          POD            SANDBOX  LINK     FOR
            10.0.0.10  eni-a      in use                         default/web-0  c1/eth0  veth-c1  1 m 30 s
            10.0.0.11  eni-a      leaving                        default/web-0  c2/eth0  veth-c2  1 m 20 s
            10.0.0.12  eni-a      cooling, 20 s more             -              -        -        -
            10.0.0.15  eni-a      cooling, 25 s more, goes back  -              -        -        -
            10.0.0.13  eni-a      free                           -              -        -        -
            10.0.0.14  eni-b      interface not set up           -              -        -        -

            WAITING POD    SANDBOX  FOR   WHY
            default/web-0  c9/eth0  30 s  SubnetEmpty: subnet-1 is empty

            """.ReplaceLineEndings("\n"),
            StatusText.Of(Report(EveryState(), failure: "No silo answers.")));
    }

    [Theory]
    [InlineData(0.9, "0 s")]
    [InlineData(59.99, "59 s")]
    [InlineData(60, "1 m 0 s")]
    [InlineData(3_725, "1 h 2 m")]
    [InlineData(200_000, "2 d 7 h")]
    public void An_age_has_two_units(double seconds, string text) => Assert.Equal(text, StatusText.Age(seconds));
}
