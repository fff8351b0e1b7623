using AwsVpcCni.VpcEmulator.Model;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.VpcEmulator;

/// <summary>What readers see late, and what they never see.</summary>
public sealed class ReadLagTests
{
    private readonly TestVpc _test = new();

    private Vpc Vpc => _test.Vpc;

    [Fact]
    public void Without_lag_every_reader_sees_what_is()
    {
        var eni = _test.Create();
        Assert.Contains(eni, Vpc.EnisSeenBy("a"));
        Vpc.DeleteNetworkInterface(eni.Id);
        Assert.DoesNotContain(eni, Vpc.EnisSeenBy("a"));
    }

    [Fact]
    public void A_lagging_reader_comes_to_see_a_change_in_time()
    {
        Vpc.Lag = new ReadLag { DescribeMs = 2000 };
        Vpc.AssignPrivateIpAddresses(_test.Primary.Id, TestVpc.Ips("10.0.1.50"), false);
        Assert.Single(Seen("a").Addresses); // However small its lag is, the change is of this moment.
        After(2000);
        Assert.Equal(TestVpc.Ips("10.0.1.10", "10.0.1.50"), Seen("a").Addresses);
    }

    [Fact]
    public void Two_readers_may_disagree_and_none_ever_goes_back()
    {
        Vpc.Lag = new ReadLag { DescribeMs = 2000 };
        var (disagreed, last) = (false, new Dictionary<string, int> { ["a"] = 0, ["b"] = 0 });
        for (var second = 0; second < 9; second++)
        {
            Vpc.AssignPrivateIpAddresses(_test.Primary.Id, 1);
            for (var look = 0; look < 10; look++)
            {
                After(100);
                foreach (var reader in new[] { "a", "b" })
                {
                    var count = Seen(reader).Addresses.Count;
                    Assert.InRange(count, last[reader], _test.Primary.Addresses.Count);
                    last[reader] = count;
                }

                disagreed |= last["a"] != last["b"];
            }
        }

        Assert.True(disagreed);
    }

    [Fact]
    public void Attachments_tags_and_deletions_are_seen_late_too()
    {
        var eni = _test.Attached();
        Vpc.Lag = new ReadLag { DescribeMs = 5000 };
        Vpc.CreateTags([eni.Id], new Dictionary<string, string> { ["a"] = "b" });
        Vpc.ModifyDeleteOnTermination(eni.Id, eni.Attachment!.Id, true);
        Assert.Equal((0, false), (Seen("a", eni.Id).Tags.Count, Seen("a", eni.Id).Attachment!.DeleteOnTermination));
        After(5000);
        Assert.Equal((1, true), (Seen("a", eni.Id).Tags.Count, Seen("a", eni.Id).Attachment!.DeleteOnTermination));
        Vpc.DetachNetworkInterface(eni.Attachment.Id);
        Assert.Equal(AttachmentStatus.Attached, Seen("a", eni.Id).Attachment!.Status);
        After(10_000); // It has been free for 9 s.
        Assert.Null(Seen("a", eni.Id).Attachment);
        Vpc.DeleteNetworkInterface(eni.Id);
        Assert.Contains(Vpc.EnisSeenBy("a"), seen => seen.Id == eni.Id);
        After(5000);
        Assert.DoesNotContain(Vpc.EnisSeenBy("a"), seen => seen.Id == eni.Id);
    }

    [Fact]
    public void A_new_interface_is_not_found_for_a_while_but_its_token_finds_it()
    {
        Vpc.Lag = new ReadLag { NewInterfaceMs = 5000 };
        var eni = _test.Create(token: "t");
        Assert.DoesNotContain(eni, Vpc.EnisSeenBy("a"));
        _test.Refused("InvalidNetworkInterfaceID.NotFound", $"The networkInterface ID '{eni.Id}' does not exist", vpc => vpc.AttachNetworkInterface(eni.Id, TestVpc.Node, 1));
        Assert.Same(eni, _test.Create(token: "t"));
        After(5000);
        Assert.Contains(eni, Vpc.EnisSeenBy("a"));
        Vpc.AttachNetworkInterface(eni.Id, TestVpc.Node, 1);
    }

    [Fact]
    public void Metadata_lists_a_new_interface_before_it_shows_it()
    {
        var eni = _test.Create();
        Vpc.Lag = new ReadLag { ImdsMs = 10_000 };
        Vpc.AttachNetworkInterface(eni.Id, TestVpc.Node, 1);
        var seen = new List<bool?>();
        for (var tenth = 0; tenth < 120; tenth++)
        {
            After(100);
            seen.Add(Vpc.EnisInMetadata(TestVpc.Node).Where(entry => entry.Eni.Id == eni.Id).Select(entry => (bool?)entry.IsWhole).FirstOrDefault());
        }

        Assert.Equal([null, false, true], seen.Distinct());
        Assert.All(seen[(10 + 100)..], whole => Assert.True(whole)); // Attached after 1 s, seen 10 s after that at the latest.
        Assert.Equal(2, Vpc.EnisInMetadata(TestVpc.Node).Count);
        Assert.Single(Vpc.EnisInMetadata(TestVpc.OtherNode));
    }

    [Fact]
    public void A_stuck_metadata_service_stands_still_until_it_is_freed()
    {
        Vpc.Lag = new ReadLag { ImdsStuck = [TestVpc.Node] };
        var eni = _test.Attached();
        Vpc.AssignPrivateIpAddresses(_test.OtherPrimary.Id, 1);
        Assert.DoesNotContain(Vpc.EnisInMetadata(TestVpc.Node), entry => entry.Eni.Id == eni.Id);
        Assert.Equal(2, Vpc.EnisInMetadata(TestVpc.OtherNode)[0].Eni.Addresses.Count); // Only one is stuck.
        Vpc.Lag = ReadLag.None;
        Assert.Contains(Vpc.EnisInMetadata(TestVpc.Node), entry => entry.Eni.Id == eni.Id);
    }

    [Theory]
    [InlineData(-1, 0, 0)]
    [InlineData(0, 600_001, 0)]
    [InlineData(0, 0, -5)]
    public void A_lag_is_at_most_ten_minutes(int created, int described, int metadata) => Assert.Throws<ArgumentException>(() =>
        Vpc.Lag = new ReadLag { NewInterfaceMs = created, DescribeMs = described, ImdsMs = metadata });

    [Fact]
    public void When_nothing_changes_for_the_whole_lag_every_reader_sees_the_truth() => VpcLawsTests.Calls.Sample(calls =>
    {
        var test = new TestVpc();
        test.Vpc.Lag = new ReadLag { NewInterfaceMs = 3000, DescribeMs = 4000, ImdsMs = 5000 };
        foreach (var call in calls)
        {
            VpcLawsTests.Try(test, call);
            test.Vpc.EnisSeenBy(call.Which % 2 == 0 ? "a" : "b");
            test.Vpc.EnisInMetadata(TestVpc.Node);
        }

        test.Settle(); // A transition at its end is a change as well: another while.
        test.Settle();
        foreach (var reader in new[] { "a", "b", "c" })
        {
            Assert.Equal(test.Vpc.Enis.Select(Shown), test.Vpc.EnisSeenBy(reader).Select(Shown));
        }

        if (test.Vpc.FindInstance(TestVpc.Node) is { } node)
        {
            Assert.Equal(test.Vpc.EnisOf(node).Select(Shown), test.Vpc.EnisInMetadata(node.Id).Select(entry => Shown(entry.Eni)));
        }
    });

    private static string Shown(Eni eni) =>
        $"{eni.Id} {eni.Status} {eni.Attachment?.Id} {eni.Attachment?.Status} {eni.Attachment?.DeleteOnTermination} {string.Join(' ', eni.Delivered)}";

    private Eni Seen(string reader, string? eni = null) => Vpc.EnisSeenBy(reader).Single(seen => seen.Id == (eni ?? _test.Primary.Id));

    private void After(int milliseconds) => _test.Time.Advance(TimeSpan.FromMilliseconds(milliseconds));
}
