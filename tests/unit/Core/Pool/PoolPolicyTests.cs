using AwsVpcCni.Core.Pool;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Pool;

public sealed class PoolPolicyTests
{
    [Fact]
    public void A_policy_says_what_is_set_as_a_log_shows_it()
    {
        var policy = new PoolPolicy { WarmIps = 0, Prefixes = true, Provisions = false, Subnets = ["subnet-1", "subnet-2"], AdditionalTags = new PoolPolicy().AdditionalTags.Add("team", "net") };

        Assert.Equal("WarmIps=0 Prefixes=True Provisions=False AdditionalTags=team:net Subnets=subnet-1,subnet-2 Cooldown=00:00:30 PreferredRest=00:02:00", policy.ToString());
        Assert.Equal("Cooldown=00:00:30 PreferredRest=00:02:00", new PoolPolicy().ToString());
    }
}
