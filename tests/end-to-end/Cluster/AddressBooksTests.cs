using System.Collections.Immutable;
using Xunit;
using Entry = AwsVpcCni.Tests.EndToEnd.Cluster.AddressBooks.Entry;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>The comparison can fail: each kind of fault, planted in books that agree, is seen and named.</summary>
public sealed class AddressBooksTests
{
    private const string Primary = "eni-1", Secondary = "eni-2";

    private static readonly ImmutableArray<Entry> Told = [new("10.0.0.4", "a"), new("10.0.0.5", "b")];

    private static readonly AddressBooks Agreeing = new()
    {
        Pods = Told,
        Links = Told,
        Routes = Told,
        Rules = [new("10.0.0.4", "to main"), new("10.0.0.5", "to main"), new("10.0.0.5", "from 2")],
        Claims = Told,
        Rows = Told,
        Leased = [new("10.0.0.4", Primary), new("10.0.0.5", Secondary), new("10.0.0.6", Primary)],
        Ec2 = [new("10.0.0.4", Primary), new("10.0.0.5", Secondary), new("10.0.0.6", Primary)],
        Devices = ImmutableDictionary<string, int>.Empty.Add(Primary, 0).Add(Secondary, 1),
    };

    [Fact]
    public void Books_that_agree_are_not_wrong() => Assert.Empty(Agreeing.Wrong(Told));

    [Fact]
    public void An_address_on_two_pods_is_seen()
    {
        Entry other = new("10.0.0.4", "c");

        // In the kernel alone; and when the runtime was told the same address twice, although every book has both.
        Assert.Contains("10.0.0.4: on two pods; c left over in pods", Single((Agreeing with { Pods = Told.Add(other) }).Wrong(Told)), StringComparison.Ordinal);
        var everywhere = Agreeing with { Pods = Told.Add(other), Links = Told.Add(other), Routes = Told.Add(other), Claims = Told.Add(other), Rows = Told.Add(other) };
        Assert.Contains("10.0.0.4: on two pods |", Single(everywhere.Wrong(Told.Add(other))), StringComparison.Ordinal);
        Assert.Contains("twice in links", Single((Agreeing with { Links = Told.Add(Told[0]) }).Wrong(Told)), StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_book_has_lost_is_seen()
    {
        Assert.Contains("b lost from pods", Single((Agreeing with { Pods = [Told[0]] }).Wrong(Told)), StringComparison.Ordinal);
        Assert.Contains("b lost from links", Single((Agreeing with { Links = [Told[0]] }).Wrong(Told)), StringComparison.Ordinal);
        Assert.Contains("b lost from routes", Single((Agreeing with { Routes = [Told[0]] }).Wrong(Told)), StringComparison.Ordinal);
        Assert.Contains("from 2 lost from rules", Single((Agreeing with { Rules = Agreeing.Rules[..2] }).Wrong(Told)), StringComparison.Ordinal);
        Assert.Contains("b lost from claims", Single((Agreeing with { Claims = [Told[0]] }).Wrong(Told)), StringComparison.Ordinal);
        Assert.Contains("b lost from rows", Single((Agreeing with { Rows = [Told[0]] }).Wrong(Told)), StringComparison.Ordinal);
        Assert.Contains("one interface lost from EC2", Single((Agreeing with { Ec2 = [Agreeing.Ec2[0], Agreeing.Ec2[2]], Rules = Agreeing.Rules[..2] }).Wrong(Told)), StringComparison.Ordinal);
        Assert.Contains("eni-1 lost from leased", Single((Agreeing with { Leased = Agreeing.Leased[..2] }).Wrong(Told)), StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_left_over_is_seen()
    {
        Entry gone = new("10.0.0.6", "c");
        Assert.Contains("10.0.0.6: c left over in links", Single((Agreeing with { Links = Told.Add(gone) }).Wrong(Told)), StringComparison.Ordinal);
        Assert.Contains("10.0.0.6: c left over in routes", Single((Agreeing with { Routes = Told.Add(gone) }).Wrong(Told)), StringComparison.Ordinal);
        Assert.Contains("10.0.0.6: to main left over in rules", Single((Agreeing with { Rules = Agreeing.Rules.Add(new("10.0.0.6", "to main")) }).Wrong(Told)), StringComparison.Ordinal);
        Assert.Contains("10.0.0.6: c left over in claims", Single((Agreeing with { Claims = Told.Add(gone) }).Wrong(Told)), StringComparison.Ordinal);
        Assert.Contains("10.0.0.6: c left over in rows", Single((Agreeing with { Rows = Told.Add(gone) }).Wrong(Told)), StringComparison.Ordinal);
        Assert.Contains("10.0.0.7: eni-1 left over in leased", Single((Agreeing with { Leased = Agreeing.Leased.Add(new("10.0.0.7", Primary)) }).Wrong(Told)), StringComparison.Ordinal);
    }

    private static string Single(IReadOnlyList<string> wrong) => Assert.Single(wrong);
}
