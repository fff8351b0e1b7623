using System.Collections.Immutable;
using AwsVpcCni.Core.Subnets;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Subnets;

/// <summary>vpc-cni.md 1.4, each row of its table and each sentence under it.</summary>
public sealed class SubnetChoiceTests
{
    private const string Role = "kubernetes.io/role/cni";
    private const string Ours = "cni.networking.k8s.aws/cluster/ours";
    private const string Theirs = "cni.networking.k8s.aws/cluster/theirs";
    private const string OldTheirs = "kubernetes.io/cluster/theirs";

    [Theory]
    [InlineData("", true, true)]
    [InlineData("", false, false)] // A subnet without the tag is for its own nodes.
    [InlineData($"{Role}=0", true, false)]
    [InlineData($"{Role}=0", false, false)]
    [InlineData($"{Role}=0 {Ours}=shared", false, false)]
    [InlineData($"{Role}=1", true, true)]
    [InlineData($"{Role}=1", false, true)]
    [InlineData($"{Role}=", false, true)] // Anything else than 0.
    [InlineData($"{Role}=yes", false, true)]
    [InlineData($"{Role}=1 {Ours}=shared", false, true)]
    [InlineData($"{Role}=1 {Ours}=shared", true, true)]
    [InlineData($"{Role}=1 {Theirs}=shared", false, false)]
    [InlineData($"{Role}=1 {Theirs}=shared", true, false)]
    [InlineData($"{Role}=1 {Theirs}=shared {Ours}=owned", false, true)]
    [InlineData($"{Role}=1 {OldTheirs}=owned", false, true)] // The older prefix says nothing.
    [InlineData(Theirs, true, true)] // The node's own without the role tag: cluster tags say nothing of it.
    [InlineData(Ours, false, false)] // Nor do they offer a subnet.
    public void Where_a_new_interface_may_be(string tags, bool isHome, bool may)
    {
        var place = new SubnetPlace("subnet-1", isHome, SubnetRoles.Of(Tags(tags), "ours"));

        Assert.Equal(may, SubnetChoice.MayBe(place, discovers: true, []));
        Assert.Equal(may, SubnetChoice.WhyNot(place, discovers: true, []) is null);
    }

    [Fact]
    public void Without_a_clusters_name_cluster_tags_say_nothing() => Assert.Equal(SubnetRole.Marked, SubnetRoles.Of(Tags($"{Role}=1 {Theirs}=shared"), ""));

    [Theory]
    [InlineData("", true, true)]
    [InlineData($"{Role}=1", false, false)]
    [InlineData($"{Role}=0", true, false)] // The reference refuses then, too.
    [InlineData($"{Role}=1 {Theirs}=shared", true, true)]
    public void Without_discovery_it_is_the_nodes_own_subnet_unless_that_is_excluded(string tags, bool isHome, bool may) =>
        Assert.Equal(may, SubnetChoice.MayBe(new SubnetPlace("subnet-1", isHome, SubnetRoles.Of(Tags(tags), "ours")), discovers: false, []));

    [Theory]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public void What_is_there_gives_pods_nothing_any_more_only_where_tags_are_looked_at(bool discovers, bool excluded)
    {
        Assert.Equal(excluded, SubnetChoice.IsExcluded(SubnetRole.Excluded, discovers));
        Assert.All([SubnetRole.Unmarked, SubnetRole.Marked, SubnetRole.OfOthers], role => Assert.False(SubnetChoice.IsExcluded(role, discovers)));
    }

    [Theory]
    [InlineData(false, "subnet-2 subnet-1 subnet-3")] // 300 addresses, 200 and 200: of equal ones the node's own.
    [InlineData(true, "subnet-1 subnet-3 subnet-2")] // 9 whole /28s, 4 and 1.
    public void Most_free_comes_first(bool prefixes, string order)
    {
        SubnetPlace[] places =
        [
            new("subnet-3", false, SubnetRole.Marked, 200, 4), new("subnet-4", false, SubnetRole.Unmarked, 4000, 200),
            new("subnet-1", true, SubnetRole.Unmarked, 200, 9), new("subnet-2", false, SubnetRole.Marked, 300, 1),
        ];

        Assert.Equal(order, string.Join(' ', SubnetChoice.Order(places, discovers: true, [], prefixes)));
    }

    [Fact]
    public void A_list_comes_instead_of_the_tags_after_the_nodes_own_and_excludes_what_is_tagged_0()
    {
        SubnetPlace[] places =
        [
            new("subnet-1", true, SubnetRole.Unmarked, 1), new("subnet-2", false, SubnetRole.Marked, 300), new("subnet-3", false, SubnetRole.Unmarked, 5),
            new("subnet-4", false, SubnetRole.Unmarked, 900), new("subnet-5", false, SubnetRole.Excluded, 900),
        ];

        ImmutableArray<string> listed = ["subnet-4", "subnet-5", "subnet-3"];
        Assert.Equal(["subnet-1", "subnet-4", "subnet-3"], SubnetChoice.Order(places, discovers: true, listed, prefixes: false));
        Assert.Equal(["subnet-1", "subnet-4", "subnet-3"], SubnetChoice.Order(places, discovers: false, listed, prefixes: false));
    }

    [Fact]
    public void Where_none_may_be_each_says_why() => Gen.Select(Gen.Int[0, 3], Gen.Bool, Gen.Bool, Gen.Bool).Sample((role, isHome, discovers, lists) =>
    {
        var place = new SubnetPlace("subnet-1", isHome, (SubnetRole)role);
        ImmutableArray<string> listed = lists ? ["subnet-9"] : [];
        return SubnetChoice.Order([place], discovers, listed, false).IsEmpty == (SubnetChoice.WhyNot(place, discovers, listed)?.Length > 0);
    });

    private static Dictionary<string, string> Tags(string text) =>
        text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(tag => tag.Split('=')).ToDictionary(tag => tag[0], tag => tag.ElementAtOrDefault(1) ?? "");
}
