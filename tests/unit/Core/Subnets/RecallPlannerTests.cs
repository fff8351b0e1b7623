using AwsVpcCni.Core.Subnets;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Subnets;

public sealed class RecallPlannerTests
{
    [Theory]
    [InlineData(0, "a:5", "")]
    [InlineData(3, "", "")]
    [InlineData(3, "a:5 b:5", "a:2 b:1")]
    [InlineData(4, "a:1 b:9 c:2", "b:4")]
    [InlineData(8, "a:1 b:9 c:2", "b:8")]
    [InlineData(9, "a:1 b:9 c:2", "b:8 c:1")]
    [InlineData(-3, "a:1 b:9", "")]
    [InlineData(99, "a:1 b:9 c:0 d:-1", "a:1 b:9")]
    public void Those_that_have_most_give_first(int wanted, string spare, string asked) =>
        Assert.Equal(asked, string.Join(' ', RecallPlanner.Plan(wanted, Parsed(spare)).Select(one => $"{one.Key}:{one.Value}")));

    [Fact]
    public void As_much_as_is_wanted_and_there_of_none_more_than_it_spares_and_evenly() => Gen.Select(Gen.Int[0, 60], Gen.Int[0, 12].Array[0, 8]).Sample((wanted, spare) =>
    {
        var nodes = spare.Select((has, index) => KeyValuePair.Create($"i-{index}", has)).ToArray();
        var asked = RecallPlanner.Plan(wanted, nodes);
        var left = nodes.Select(node => node.Value - asked.GetValueOrDefault(node.Key)).ToArray();
        return asked.Values.Sum() == Math.Min(wanted, spare.Sum()) && left.All(has => has >= 0)
            && nodes.Where(node => asked.ContainsKey(node.Key)).All(node => node.Value - asked[node.Key] >= left.Max() - 1);
    });

    private static IEnumerable<KeyValuePair<string, int>> Parsed(string spare) =>
        spare.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(one => KeyValuePair.Create(one[..1], int.Parse(one[2..], null)));
}
