namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>What a silo and an edge have of Kubernetes. Without <c>Kubernetes:Enabled</c> none of it does anything.</summary>
internal static class KubernetesSetup
{
    /// <summary>The nodes and who they are.</summary>
    public static IServiceCollection AddKubernetes(this IServiceCollection services) => services
        .AddSingleton<ApiServer>()
        .AddSingleton<NodeTable>().AddHostedService<NodeWatch>()
        .AddSingleton<SigningKeys>().AddHostedService(parts => parts.GetRequiredService<SigningKeys>())
        .AddSingleton<ExecutorTokens>();

    /// <summary>What a silo tells the cluster; an edge has no grains.</summary>
    public static IServiceCollection AddClusterReports(this IServiceCollection services) => services.AddHostedService<ClusterReporter>();
}
