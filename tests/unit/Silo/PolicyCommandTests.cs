using AwsVpcCni.Core.Pool;
using AwsVpcCni.Silo.Cli;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Silo;

public sealed class PolicyCommandTests
{
    private static readonly PoolPolicy Before = new() { WarmIps = 3, MaxEnis = 2, Subnets = ["subnet-1"] };

    [Fact]
    public async Task What_is_named_changes_and_the_rest_stays()
    {
        var after = await PolicyCommand.ChangedAsync(Before, ["warmIps=5", "MAXENIS=none", "prefixes=true", "subnets=subnet-1,subnet-2", "additionalTags=team:net,url:http://x", "cooldown=00:00:40"]);

        Assert.Equal((5, null, true, TimeSpan.FromSeconds(40), TimeSpan.FromSeconds(120)), (after.WarmIps, after.MaxEnis, after.Prefixes, after.Cooldown, after.PreferredRest));
        Assert.Equal(["subnet-1", "subnet-2"], after.Subnets);
        Assert.Equal([("team", "net"), ("url", "http://x")], after.AdditionalTags.Select(tag => (tag.Key, tag.Value)));
        Assert.Equal(Before.ToString(), (await PolicyCommand.ChangedAsync(Before, [])).ToString());
    }

    [Fact]
    public async Task A_name_that_is_given_twice_is_refused() =>
        Assert.Equal("WarmIps is given twice; give each name once.", Assert.Single((await Assert.ThrowsAsync<CommandException>(() => PolicyCommand.ChangedAsync(Before, ["warmIps=2", "WarmIps=3"]))).Lines));

    [Theory]
    [InlineData("warmIps", "warmIps is no NAME=VALUE, such as warmIps=2.")]
    [InlineData("warmIps=two", "policy.warmIps is \"two\"; it must be a whole number from 0 to 1024, or null for none.")]
    [InlineData("warmIps=-1", "Pool:WarmIps is -1; it must be a whole number from 0 to 1024, such as Pool__WarmIps=2.")]
    [InlineData("warmIp=2", "policy.warmIp is no setting; a policy has warmEnis, warmIps, ")]
    [InlineData("prefixes=yes", "policy.prefixes is \"yes\"; it must be true or false.")]
    [InlineData("cooldown=30s", "policy.cooldown is \"30s\"; it must be a time such as \"00:00:30\".")]
    [InlineData("subnets=vpc-1", "Pool:Subnets has 'vpc-1', which is no subnet id")]
    [InlineData("additionalTags=team", "policy.additionalTags is \"team\"; it must be an object of texts")]
    public async Task What_cannot_be_is_refused_with_its_name_its_value_and_what_it_may_be(string change, string said) =>
        Assert.StartsWith(said, Assert.Single((await Assert.ThrowsAsync<CommandException>(() => PolicyCommand.ChangedAsync(Before, [change]))).Lines), StringComparison.Ordinal);
}
