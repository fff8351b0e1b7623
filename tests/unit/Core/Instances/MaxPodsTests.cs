using System.Collections.Immutable;
using AwsVpcCni.Core.Instances;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Instances;

public sealed class MaxPodsTests
{
    [Fact]
    public void The_formula_gives_the_published_figure_for_every_type()
    {
        using var rows = new StreamReader(typeof(MaxPodsTests).Assembly.GetManifestResourceStream("max-pods.txt")!);
        var published = rows.ReadToEnd().Split('\n').Where(line => line.Length > 0 && line[0] != '#').Select(line => line.Split(' '))
            .ToImmutableSortedDictionary(row => row[0], row => int.Parse(row[1], null), StringComparer.Ordinal);

        Assert.Equal(1391, published.Count);
        Assert.Equal(published, InstanceLimits.All.ToImmutableSortedDictionary(type => type.Type, type => MaxPods.Of(type), StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("m5.large", false, false, null, 29)]
    [InlineData("m5.large", true, false, null, 434)] // 3 x 9 x 16 + 2.
    [InlineData("m5.large", false, true, null, 20)] // The primary interface gives no pod an address.
    [InlineData("m5.large", true, true, null, 290)]
    [InlineData("m5.large", false, false, 2, 20)]
    [InlineData("m5.large", false, false, 9, 29)] // MAX_ENI cannot raise what EC2 allows.
    [InlineData("m5.large", false, true, 1, 2)]
    [InlineData("t2.small", true, false, null, 11)] // Xen takes no prefixes: single addresses.
    [InlineData("p4d.24xlarge", false, false, null, 737)] // Pods use the default card only.
    public void The_formula_counts_prefixes_custom_networking_and_the_operators_limit(string type, bool prefixes, bool custom, int? maxEnis, int pods) =>
        Assert.Equal(pods, MaxPods.Of(InstanceLimits.Find(type)!, prefixes, custom, maxEnis));

    [Fact]
    public void The_table_says_which_types_take_prefixes_and_how_many_cards_they_have()
    {
        Assert.Equal(1309, InstanceLimits.All.Count(type => type.TakesPrefixes));
        Assert.Equal(67, InstanceLimits.All.Count(type => type.Cards.Length > 1));
        Assert.Equal((15, 50, 4), InstanceLimits.Find("p4d.24xlarge") is { } p4d ? (p4d.MaxInterfaces, p4d.AddressesPerInterface, p4d.Cards.Length) : default);
        Assert.Null(InstanceLimits.Find("m99.large"));
    }
}
