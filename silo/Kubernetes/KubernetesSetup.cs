namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>What a silo and an edge have of Kubernetes. Without <c>Kubernetes:Enabled</c> none of it does anything.</summary>
internal static class KubernetesSetup
{
    /// <summary>The nodes and who they are.</summary>
    public static IServiceCollection AddKubernetes(this IServiceCollection services) => services
        .AddSingleton<ApiServer>()
        .AddSingleton<NodeTable>().AddHostedService<NodeWatch>()
        .AddSingleton<EniConfigTable>().AddSingleton<NodePolicies>()
        .AddSingleton<SigningKeys>().AddHostedService(parts => parts.GetRequiredService<SigningKeys>())
        .AddSingleton<ExecutorTokens>();

    /// <summary>What passes between the cluster and a silo's grains; an edge has none.</summary>
    public static IServiceCollection AddClusterOfGrains(this IServiceCollection services) => services.AddHostedService<ClusterReporter>().AddHostedService<PodWatch>().AddHostedService<EniConfigWatch>();
}
