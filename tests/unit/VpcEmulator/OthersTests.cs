using AwsVpcCni.VpcEmulator.Model;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.VpcEmulator;

/// <summary>Those who also change the VPC: hands, and a neighbour cluster.</summary>
public sealed class OthersTests
{
    private readonly TestVpc _test = new();

    private Vpc Vpc => _test.Vpc;

    [Fact]
    public void A_hand_says_what_it_has_taken_and_given()
    {
        var hands = new Hands(Vpc, new Random(1));
        Assert.Null(hands.Unassign(_test.Primary)); // Nothing to take.
        var given = hands.Assign(_test.Primary);
        Assert.Equal(given.Addresses, _test.Primary.Addresses.Skip(1));
        Assert.Equal(given.Addresses, hands.Unassign(_test.Primary)!.Addresses);
        var prefix = hands.AssignPrefix(_test.Primary);
        Assert.Equal(16, prefix.Addresses.Count);
        Assert.Equal(prefix.Addresses, hands.UnassignPrefix(_test.Primary)!.Addresses);
        var eni = _test.Attached();
        Assert.Equal(eni.Addresses, hands.Detach(eni)!.Addresses);
        _test.Settle();
        Assert.NotNull(hands.Attach(eni));
    }

    [Fact]
    public void A_hand_touches_only_what_is_in_reach() => Gen.Int[0, 10_000].Sample(seed =>
    {
        var test = new TestVpc(seed);
        test.Attached();
        var hands = new Hands(test.Vpc, new Random(seed));
        var other = test.OtherPrimary;
        var before = Held(other);
        var done = new HashSet<string>();
        for (var i = 0; i < 60; i++)
        {
            if (hands.Act(eni => eni != other) is { } change)
            {
                done.Add(change.Action);
                Assert.NotEqual(other.Id, change.EniId);
            }

            test.Time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(before, Held(other));
        Assert.InRange(done.Count, 2, 5);
    });

    [Fact]
    public void A_neighbour_left_in_peace_sees_no_trespass_and_touches_nobody() => Gen.Int[0, 10_000].Sample(seed =>
    {
        var test = new TestVpc(seed);
        var neighbour = Neighbour(test, seed);
        var ours = test.Attached();
        var before = (Held(test.Primary), Held(ours));
        var most = 0;
        for (var i = 0; i < 80; i++)
        {
            neighbour.Act();
            test.Vpc.AssignPrivateIpAddresses(test.OtherPrimary.Id, 1); // Others may work beside it.
            test.Vpc.UnassignPrivateIpAddresses(test.OtherPrimary.Id, [test.OtherPrimary.Addresses[^1]]);
            test.Time.Advance(TimeSpan.FromMilliseconds(700));
            most = Math.Max(most, test.Vpc.Enis.Count());
        }

        Assert.Empty(neighbour.Trespasses());
        Assert.Equal(before, (Held(test.Primary), Held(ours)));
        Assert.InRange(most, 5, 100); // Two primaries, ours, the neighbour's primary, and what it has made.
    });

    [Fact]
    public void A_neighbour_notices_who_touches_its_interfaces_once()
    {
        var neighbour = Neighbour(_test, 1);
        var eni = Vpc.EnisOf(Vpc.FindInstance("i-09")!).Single();
        Vpc.AssignPrivateIpAddresses(eni.Id, 1);
        neighbour.Act();
        Assert.Contains($"{eni.Id} of cluster other: was [10.0.1.90 ]", Assert.Single(neighbour.Trespasses()), StringComparison.Ordinal);
        Vpc.CreateTags([eni.Id], new Dictionary<string, string> { ["a"] = "b" });
        Assert.Equal(2, neighbour.Trespasses().Count);
        Assert.Equal(2, neighbour.Trespasses().Count);
    }

    [Fact]
    public void A_neighbour_spends_the_accounts_tokens_and_bears_a_refusal()
    {
        var throttle = new Throttle(_test.Time, new[] { "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses", "CreateNetworkInterface", "AttachNetworkInterface",
            "DetachNetworkInterface", "DeleteNetworkInterface" }.ToDictionary(action => action, _ => new BucketSize(1, 0)));
        var neighbour = Neighbour(_test, 3, throttle);
        for (var i = 0; i < 50; i++)
        {
            neighbour.Act();
            _test.Settle();
        }

        Assert.Throws<Ec2Exception>(() => throttle.Take("AssignPrivateIpAddresses", false));
        Assert.InRange(Vpc.Enis.Count(eni => eni.Tags.ContainsKey("cluster.k8s.amazonaws.com/name")), 0, 1);
        Assert.Empty(neighbour.Trespasses());
    }

    private static Neighbour Neighbour(TestVpc test, int seed, Throttle? throttle = null)
    {
        var neighbour = new Neighbour(test.Vpc, "other", new Random(seed), throttle);
        neighbour.Launch(new() { Id = "i-09", Type = "m5.xlarge", Subnet = TestVpc.Subnet, Address = "10.0.1.90" });
        return neighbour;
    }

    private static string Held(Eni eni) => $"{eni.Attachment?.Id} {string.Join(' ', eni.Delivered)}";
}
