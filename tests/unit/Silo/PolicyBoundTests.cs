using System.Collections.Immutable;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Silo.Views;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Silo;

/// <summary>A cluster that had more policies before there was a bound.</summary>
public sealed class PolicyBoundTests
{
    [Fact]
    public void Where_there_are_more_than_the_bound_those_there_are_can_be_changed_and_taken_away_and_none_is_added()
    {
        var many = Policies(PolicyBound.Most + 50, id: "i");

        PolicyBound.Check(many, Change("i0", new() { WarmIps = 12345 }));
        PolicyBound.Check(many, Change("i0", null));
        PolicyBound.Check(many, Change(null, new() { WarmIps = 3 }));
        Assert.Contains("250 nodes and labels have a policy", Refusal(many, Change("new", new() { WarmIps = 3 })), StringComparison.Ordinal);
    }

    [Fact]
    public void Where_they_are_larger_than_the_bound_one_can_be_changed_while_they_do_not_grow()
    {
        var (id, policy) = (new string('i', 2000), new PoolPolicy { WarmIps = 100, SecurityGroups = ["sg-0123456789abcdef0"] });
        var large = Policies(PolicyBound.Most - 50, id, policy);

        PolicyBound.Check(large, Change($"{id}0", policy with { WarmIps = 999 }));
        PolicyBound.Check(large, Change($"{id}0", policy with { SecurityGroups = [] }));
        PolicyBound.Check(large, Change($"{id}0", null));
        Assert.Contains("200 are kept", Refusal(large, Change($"{id}0", policy with { WarmIps = 1000 })), StringComparison.Ordinal);
        Assert.Contains("200 are kept", Refusal(large, Change("new", policy)), StringComparison.Ordinal);
    }

    private static ClusterPolicies Policies(int count, string id, PoolPolicy? policy = null) =>
        new(1, null, Enumerable.Range(0, count).ToImmutableSortedDictionary(n => $"{id}{n}", _ => policy ?? new PoolPolicy { WarmIps = 1 }), null, []);

    private static PolicyChange Change(string? target, PoolPolicy? policy) => new(1, target, policy, "ada", "a test");

    private static string Refusal(ClusterPolicies now, PolicyChange change) => Assert.Throws<BadQuestionException>(() => PolicyBound.Check(now, change)).Message;
}
