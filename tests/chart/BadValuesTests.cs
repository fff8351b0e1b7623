using Xunit;

namespace AwsVpcCni.Tests.Chart;

/// <summary>A value that cannot work is refused before anything reaches the cluster, and the message names it.</summary>
public sealed class BadValuesTests
{
    private static readonly (string Set, string Named)[] Bad =
    [
        ("cluster.name=", "name"),
        ("aws.vpcId=subnet-0123456789abcdef0", "vpcId"),
        ("aws.region=Ireland", "region"),
        ("silo.image.repository=", "silo.image.repository is not set"),
        ("executor.image.repository=", "executor.image.repository is not set"),
        ("silo.tls.secretName=node-api", "silo.tls.secretName and silo.tls.caConfigMap go together"),
        ("silo.replica=3", "replica"),
        ("silo.replicas=3", "silo.replicas=3 needs storage.provider=dynamodb"),
        ("silo.replicas=0", "replicas"),
        ("silo.ports.http=8440", "8440 is another port's, too"),
        ("silo.settings.Pool:Thirft=true", "Pool:Thirft"),
        ("silo.settings.Http:Reviews=false", "Http:Reviews"), // silo.http.reviews, which gives the rights for it, too.
        ("silo.serviceAccount.roleArn=my-role", "roleArn"),
        ("storage.provider=postgres", "provider"),
        ("env.WARM_IP_TARGETS=1", "WARM_IP_TARGETS"),
        ("env.WARM_IP_TARGET=1025", "WARM_IP_TARGET"),
        ("env.AWS_VPC_ENI_MTU=100", "AWS_VPC_ENI_MTU"),
        ("env.AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS=10.0.0.0", "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS"),
        ("env.CLUSTER_NAME=other", "CLUSTER_NAME"),
        ("env.AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG=maybe", "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"),
        ("env.ENABLE_POD_ENI=true", "env.ENABLE_POD_ENI=true is not supported."),
        ("env.ENABLE_IPv6=true", "env.ENABLE_IPv6=true is not supported."),
        ("env.ENABLE_BANDWIDTH_PLUGIN=true", "Set AWS_VPC_CNI_CHAINED=portmap,bandwidth"),
        ("silo.settings.Pool:MaxEnis=0", "Pool:MaxEnis"),
        ("silo.settings.Pool:WarmIps=0", "Pool:WarmIps and Pool:MinimumIps want no address at all"),
        ("silo.settings.NodeApi:CallsPerSecond=0", "NodeApi:CallsPerSecond"),
        ("silo.settings.Ec2:BudgetShare=0", "Ec2:BudgetShare"),
        ("silo.settings.Storage:HistoryKept=00:00:00", "Storage:HistoryKept"),
        ("silo.settings.Pool:Subnets={sg-1}", "Pool:Subnets"),
        ("silo.settings.Pool:SecurityGroups={sg-1}", "Pool:SecurityGroups needs custom networking"),
        ("silo.settings.Kubernetes:EniConfigLabel=", "Kubernetes:EniConfigLabel"),
        ("executor.silos={10.0.0.4}", "silos"),
        ("executor.chained={tuning}", "chained"),
        ("executor.conflistVersion=1.1.0", "executor.conflistVersion=1.1.0 needs executor.chained"),
        ("monitoring.monitors=true", "silo.http.exposed=true"),
    ];

    public static TheoryData<string, string, string> All => [.. from bad in Bad from major in Helm.Majors select (major, bad.Set, bad.Named)];

    [Theory]
    [MemberData(nameof(All))]
    public async Task It_is_refused_by_name(string major, string set, string named)
    {
        var (exitCode, said) = await Helm.RunOrSkipAsync(major, "template", "cni", "charts/aws-vpc-cni-distributed", "--values", Repository.Values("sqlite"), "--set", set);
        Assert.NotEqual(0, exitCode);
        Assert.Contains(named, said, StringComparison.Ordinal);
    }
}
