using AwsVpcCni.Core.Pool;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Silo;

public sealed class VpcCniEnvironmentTests
{
    [Theory] // Variables of the reference -> what a node holds, in its words (section 2.3 to 2.5).
    [InlineData("WARM_IP_TARGET=2", false, "OfAddresses { Warm = 2, Minimum = 0 }")]
    [InlineData("MINIMUM_IP_TARGET=12", false, "OfAddresses { Warm = 0, Minimum = 12 }")]
    [InlineData("WARM_IP_TARGET=6 MINIMUM_IP_TARGET=10", true, "OfAddresses { Warm = 6, Minimum = 10 }")]
    [InlineData("WARM_IP_TARGET=3 WARM_ENI_TARGET=0", false, "OfAddresses { Warm = 3, Minimum = 0 }")]
    [InlineData("WARM_ENI_TARGET=2", false, "OfInterfaces { Warm = 2 }")]
    [InlineData("WARM_ENI_TARGET=1 WARM_PREFIX_TARGET=1", true, "OfPrefixes { Warm = 1 }")] // The manifest's.
    [InlineData("WARM_ENI_TARGET=1 WARM_PREFIX_TARGET=1", false, "OfInterfaces { Warm = 1 }")]
    [InlineData("WARM_PREFIX_TARGET=1", false, "OfInterfaces { Warm = 1 }")] // Once any is set, the defaults of the reference hold.
    [InlineData("WARM_ENI_TARGET=1", true, "OfPrefixes { Warm = 0 }")]
    [InlineData("WARM_IP_TARGET=0", false, "OfInterfaces { Warm = 1 }")] // 0 is none.
    [InlineData("WARM_IP_TARGET=0 MINIMUM_IP_TARGET=5", false, "OfAddresses { Warm = 0, Minimum = 5 }")]
    [InlineData("MAX_ENI=2", false, "Demand { }")]
    public void Targets_keep_their_meaning(string variables, bool prefixes, string target) =>
        Assert.Equal(target, Policy(variables).Target(prefixes).ToString());

    [Fact]
    public void The_other_variables_are_taken_over()
    {
        var policy = Policy("MAX_ENI=2 ENABLE_PREFIX_DELEGATION=true IP_COOLDOWN_PERIOD=10 MANAGE_UNTAGGED_ENI=f ENABLE_SUBNET_DISCOVERY=0 DISABLE_NETWORK_RESOURCE_PROVISIONING=1 ADDITIONAL_ENI_TAGS={\"team\":\"net\",\"node.k8s.amazonaws.com/x\":\"y\"}");

        Assert.Equal((2, true, TimeSpan.FromSeconds(10), false, false, false), (policy.MaxEnis, policy.Prefixes, policy.Cooldown, policy.ManageUntagged, policy.Discovers, policy.Provisions));
        Assert.True(Policy("MAX_ENI=2").Discovers);
        Assert.Equal([KeyValuePair.Create("team", "net")], policy.AdditionalTags);
        Assert.Null(Policy("MAX_ENI=-1").MaxEnis);
        Assert.Empty(VpcCniEnvironment.Read(new ConfigurationBuilder().AddInMemoryCollection([KeyValuePair.Create("ENI_CONFIG_LABEL_DEF", (string?)""), KeyValuePair.Create("ENI_CONFIG_ANNOTATION_DEF", (string?)"")]).Build()).Settings); // As in the reference.
    }

    [Theory]
    [InlineData("IP_COOLDOWN_PERIOD=30", 120)]
    [InlineData("IP_COOLDOWN_PERIOD=3600", 3600)]
    [InlineData("IP_COOLDOWN_PERIOD=30 Pool:PreferredRest=00:01:00", 60)]
    public void A_cool_down_longer_than_the_usual_rest_is_the_rest(string variables, int seconds) =>
        Assert.Equal(TimeSpan.FromSeconds(seconds), Policy(variables).PreferredRest);

    [Theory]
    [InlineData("WARM_IP_TARGET=-1", "WARM_IP_TARGET=-1 must be a whole number from 0 to 1024.")]
    [InlineData("WARM_ENI_TARGET=many", "WARM_ENI_TARGET=many must be a whole number from 0 to 64.")]
    [InlineData("IP_COOLDOWN_PERIOD=1.5", "IP_COOLDOWN_PERIOD=1.5 must be a whole number from 0 to 3600.")]
    [InlineData("IP_COOLDOWN_PERIOD=300 Pool:PreferredRest=00:02:00", "Pool:PreferredRest is 00:02:00; it must be at least Pool:Cooldown (00:05:00)")]
    [InlineData("ENABLE_PREFIX_DELEGATION=yes", "ENABLE_PREFIX_DELEGATION=yes must be true or false.")]
    [InlineData("ADDITIONAL_ENI_TAGS=team", "ADDITIONAL_ENI_TAGS=team must be a JSON object of strings, such as {\"team\":\"net\"}.")]
    [InlineData("ENABLE_IPv6=true", "ENABLE_IPv6=true is not supported.")]
    [InlineData("AWS_EC2_ENDPOINT=http://x", "AWS_EC2_ENDPOINT=http://x is not supported. Set AWS_ENDPOINT_URL_EC2")]
    [InlineData("NETWORK_POLICY_ENFORCING_MODE=strict", "NETWORK_POLICY_ENFORCING_MODE=strict is not supported. Run a network policy engine")]
    [InlineData("WARM_IP_TARGET=5 Pool:WarmIps=4", "Pool:WarmIps=4 and WARM_IP_TARGET=5 disagree. Set one of them.")]
    public void What_cannot_be_is_refused_with_name_value_and_what_to_do(string variables, string said) =>
        Assert.StartsWith(said, Assert.Single(Errors(variables)), StringComparison.Ordinal);

    [Fact]
    public void The_references_own_manifest_is_accepted_and_says_what_has_no_effect()
    {
        const string Manifest = "ADDITIONAL_ENI_TAGS={} ANNOTATE_POD_IP=false AWS_VPC_CNI_NODE_PORT_SUPPORT=true AWS_VPC_ENI_MTU=9001 AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG=false AWS_VPC_K8S_CNI_EXTERNALSNAT=false "
            + "DISABLE_LEAKED_ENI_CLEANUP=false DISABLE_NETWORK_RESOURCE_PROVISIONING=false ENABLE_IPv4=true ENABLE_IPv6=false ENABLE_POD_ENI=false ENABLE_PREFIX_DELEGATION=false ENABLE_SUBNET_DISCOVERY=true "
            + "NETWORK_POLICY_ENFORCING_MODE=standard WARM_ENI_TARGET=1 WARM_PREFIX_TARGET=1";

        Assert.Empty(Errors(Manifest));
        var warnings = VpcCniEnvironment.Read(Configuration(Manifest)).Warnings;
        Assert.Equal(3, warnings.Count);
        Assert.Contains("AWS_VPC_ENI_MTU=9001 has no effect on the silo. It is a setting of the nodes: set it for the node executor.", warnings);
    }

    [Fact]
    public void Every_variable_is_listed_once_and_says_what_becomes_of_it()
    {
        Assert.Equal(VpcCniEnvironment.Variables.Select(variable => variable.Name).Distinct().Order(StringComparer.Ordinal), VpcCniEnvironment.Variables.Select(variable => variable.Name).Order(StringComparer.Ordinal));
        Assert.All(VpcCniEnvironment.Variables, variable => Assert.True(variable.Support switch
        {
            VpcCniEnvironment.Support.Taken taken => taken.Setting.Contains(':', StringComparison.Ordinal),
            VpcCniEnvironment.Support.Ignored ignored => ignored.Instead.EndsWith('.'),
            VpcCniEnvironment.Support.Refused refused => refused.Instead.EndsWith('.'),
            _ => false,
        }));
    }

    private static PoolPolicy Policy(string variables)
    {
        var configuration = Configuration(variables);
        var taken = new ConfigurationBuilder().AddInMemoryCollection(VpcCniEnvironment.Read(configuration).Settings.Select(one => KeyValuePair.Create(one.Key, (string?)one.Value))).AddConfiguration(configuration).Build();
        using var parts = new ServiceCollection().AddSingleton<IConfiguration>(taken).AddSiloOptions().BuildServiceProvider();
        return parts.GetRequiredService<IOptions<PoolOptions>>().Value.ToPolicy();
    }

    private static IReadOnlyList<string> Errors(string variables) => SiloSettings.Errors(Configuration(
        $"Cluster:Name=test Ec2:Region=eu-west-1 Ec2:VpcId=vpc-0123456789abcdef0 NodeApi:TokenKeyPath=/dev/null {variables}"));

    private static IConfiguration Configuration(string variables) => new ConfigurationBuilder()
        .AddInMemoryCollection(variables.Split(' ').Select(variable => variable.Split('=', 2)).Select(pair => KeyValuePair.Create(pair[0], (string?)pair[1]))).Build();
}
