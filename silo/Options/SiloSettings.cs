using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Options;

/// <summary>Where the silo's settings come from, and their check before anything starts.</summary>
internal static class SiloSettings
{
    private static readonly Dictionary<string, Type> Sections = new()
    {
        ["Cluster"] = typeof(ClusterIdentityOptions),
        ["Ec2"] = typeof(Ec2Options),
        ["Pool"] = typeof(PoolOptions),
        ["Storage"] = typeof(StorageOptions),
        ["NodeApi"] = typeof(NodeApiOptions),
        ["Http"] = typeof(HttpOptions),
        ["Silo"] = typeof(SiloNetworkOptions),
        ["Edge"] = typeof(EdgeOptions),
        ["Kubernetes"] = typeof(KubernetesOptions),
    };

    /// <summary>The file beside the program, which is read again when it changes; then the variables of amazon-vpc-cni-k8s; then our own (<c>Pool__WarmIps</c>).</summary>
    public static void AddSiloSettings(this ConfigurationManager configuration)
    {
        configuration.Sources.Clear();
        configuration.AddJsonFile(Path.Combine(AppContext.BaseDirectory, "appsettings.json"), optional: true, reloadOnChange: true);
        configuration.AddInMemoryCollection(Taken(new ConfigurationBuilder().AddEnvironmentVariables().Build()));
        configuration.AddEnvironmentVariables();
    }

    /// <summary>What a silo reads, each options class with its section and its validator, and what the grains see of them.</summary>
    public static IServiceCollection AddSiloOptions(this IServiceCollection services)
    {
        services.AddSharedOptions();
        services.AddOptions<Ec2Options>().Validate(
            ec2 => !string.IsNullOrEmpty(ec2.Region), "Ec2:Region is not set; set Ec2__Region (or AWS_REGION) to the VPC's region, such as eu-west-1.");
        services.AddOptions<SiloNetworkOptions>().Validate<IOptions<StorageOptions>>(
            (network, storage) => network.Clustering != SiloNetworkOptions.DynamoDb || storage.Value.Provider == StorageOptions.DynamoDb,
            "Silo:Clustering is dynamodb, and Storage:Provider is not: silos share what they store; set Storage__Provider=dynamodb.");
        return services;
    }

    /// <summary>What an edge reads. It demands nothing of what only silos use.</summary>
    public static IServiceCollection AddEdgeOptions(this IServiceCollection services)
    {
        services.AddSharedOptions();
        services.AddSection<EdgeOptions, EdgeOptionsValidator>()
            .Validate<IOptions<SiloNetworkOptions>>(
                (edge, network) => edge.Gateways is not [] || network.Value.Clustering == SiloNetworkOptions.DynamoDb,
                "Edge:Gateways is not set; set Edge__Gateways__0 to a silo's gateway, such as 10.0.0.7:30000, or Silo__Clustering=dynamodb to find the silos in the membership table.")
            .Validate<IOptions<SiloNetworkOptions>>(
                (edge, network) => edge.Gateways is [] || network.Value.Clustering != SiloNetworkOptions.DynamoDb,
                "Edge:Gateways is set, and Silo:Clustering is dynamodb: the silos are found in the membership table; leave one of them unset.");
        services.AddOptions<StorageOptions>().Validate<IOptions<SiloNetworkOptions>>(
            (storage, network) => !string.IsNullOrEmpty(storage.Region) || network.Value.Clustering != SiloNetworkOptions.DynamoDb,
            "Storage:Region is not set, and Silo:Clustering is dynamodb; set Storage__Region (or AWS_REGION) to the membership table's region, such as eu-west-1.");
        return services;
    }

    private static IServiceCollection AddSharedOptions(this IServiceCollection services)
    {
        services.AddSection<ClusterIdentityOptions, ClusterIdentityOptionsValidator>();
        services.AddSection<Ec2Options, Ec2OptionsValidator>()
            .PostConfigure<IConfiguration>((options, configuration) => options.Region ??= configuration["AWS_REGION"]);
        services.AddSection<PoolOptions, PoolOptionsValidator>().Validate<IOptions<KubernetesOptions>>(
            (pool, kubernetes) => !pool.CustomNetworking || pool.Subnets.Count > 0 || kubernetes.Value.Enabled,
            "Pool:CustomNetworking is true (AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG), and there is neither Kubernetes:Enabled, for ENIConfigs, nor Pool:Subnets: no pod would get an address. Set Kubernetes__Enabled=true, or Pool__Subnets__0 and so on.");
        services.AddSection<StorageOptions, StorageOptionsValidator>()
            .PostConfigure<IConfiguration>((options, configuration) => options.Region ??= configuration["Ec2:Region"] ?? configuration["AWS_REGION"]);
        services.AddSection<NodeApiOptions, NodeApiOptionsValidator>().Validate<IOptions<KubernetesOptions>>(
            (door, kubernetes) => !string.IsNullOrEmpty(door.TokenKeyPath) || kubernetes.Value.Enabled,
            "NodeApi:TokenKeyPath is not set; set NodeApi__TokenKeyPath to the PEM file of the public key that signs the nodes' tokens (`silo ipam keygen --key FILE` makes a pair), or Kubernetes__Enabled=true for those of service accounts.");
        services.AddSection<KubernetesOptions, KubernetesOptionsValidator>()
            .PostConfigure<IConfiguration>((options, configuration) => options.ApiServer ??= InClusterApiServer(configuration));
        services.AddSection<HttpOptions, HttpOptionsValidator>().Validate<IOptions<KubernetesOptions>>(
            (http, kubernetes) => http.Reviews != true || kubernetes.Value.Enabled,
            "Http:Reviews is true, and Kubernetes:Enabled is not: who is asking is asked of the API server; set Kubernetes__Enabled=true, or leave Http__Reviews unset.");
        services.AddSection<SiloNetworkOptions, SiloNetworkOptionsValidator>();
        return services.AddSingleton(ToClusterSettings);
    }

    private static string? InClusterApiServer(IConfiguration configuration) => configuration["KUBERNETES_SERVICE_HOST"] is { Length: > 0 } host
        ? $"https://{(host.Contains(':', StringComparison.Ordinal) ? $"[{host}]" : host)}:{configuration["KUBERNETES_SERVICE_PORT"] ?? "443"}"
        : null;

    /// <summary>The policy as it is now, and the door to change it.</summary>
    public static IServiceCollection AddPolicies(this IServiceCollection services) => services
        .AddSingleton<PolicyFollower>().AddHostedService(parts => parts.GetRequiredService<PolicyFollower>());

    /// <summary>What is wrong with a silo's settings, each with what to set; empty when nothing is.</summary>
    /// <param name="sections">Of these only; none: of all.</param>
    public static IReadOnlyList<string> Errors(IConfiguration configuration, params IReadOnlyList<string> sections) => Errors(configuration, AddSiloOptions, sections);

    /// <summary>The same of an edge's.</summary>
    public static IReadOnlyList<string> EdgeErrors(IConfiguration configuration) => Errors(configuration, AddEdgeOptions, []);

    // In a container of its own: the web application reads some settings while it is built.
    private static IReadOnlyList<string> Errors(IConfiguration configuration, Func<IServiceCollection, IServiceCollection> addOptions, IReadOnlyList<string> sections)
    {
        var reading = VpcCniEnvironment.Read(configuration);
        // What is not asked for is left out: its values may be such that nothing can be bound to them.
        configuration = new ConfigurationBuilder().AddInMemoryCollection(Taken(configuration).Where(IsKept)).AddInMemoryCollection(configuration.AsEnumerable().Where(IsKept)).Build();
        using var parts = addOptions(new ServiceCollection().AddSingleton(configuration)).BuildServiceProvider();
        IEnumerable<string> unknown = [.. sections is [] ? reading.Errors : [], .. Sections.Where(section => IsAsked(section.Key)).SelectMany(section => UnknownNames(section.Key, section.Value, configuration))];
        try
        {
            parts.GetRequiredService<IStartupValidator>().Validate();
            return [.. unknown];
        }
        catch (OptionsValidationException e)
        {
            return [.. unknown, .. Texts(e, sections)];
        }
        catch (AggregateException e)
        {
            return [.. unknown, .. e.InnerExceptions.OfType<OptionsValidationException>().SelectMany(failed => Texts(failed, sections))];
        }
        catch (InvalidOperationException e)
        {
            return [.. unknown, e.Message]; // The binder's, which stops it: the value, the setting and the form that it must have.
        }

        bool IsAsked(string section) => sections is [] || sections.Contains(section);

        bool IsKept(KeyValuePair<string, string?> setting) =>
            setting.Value is not null && !Sections.Keys.Any(section => !IsAsked(section) && setting.Key.StartsWith($"{section}:", StringComparison.OrdinalIgnoreCase));
    }

    private static IEnumerable<KeyValuePair<string, string?>> Taken(IConfiguration configuration) =>
        VpcCniEnvironment.Read(configuration).Settings.Select(setting => new KeyValuePair<string, string?>(setting.Key, setting.Value));

    private static OptionsBuilder<TOptions> AddSection<TOptions, TValidator>(this IServiceCollection services)
        where TOptions : class
        where TValidator : class, IValidateOptions<TOptions>
    {
        services.AddSingleton<IValidateOptions<TOptions>, TValidator>();
        return services.AddOptions<TOptions>().BindConfiguration(Sections.Single(section => section.Value == typeof(TOptions)).Key).ValidateOnStart();
    }

    // A misspelt setting must not be silently without effect.
    private static IEnumerable<string> UnknownNames(string section, Type type, IConfiguration configuration)
    {
        var known = type.GetProperties().Select(property => property.Name).ToList();
        return configuration.GetSection(section).GetChildren()
            .Where(child => !known.Contains(child.Key, StringComparer.OrdinalIgnoreCase))
            .Select(child => $"{section}:{child.Key} is no setting; {section} has {string.Join(", ", known)}.")
            .Concat(LostTags(configuration.GetSection($"{section}:{nameof(PoolOptions.AdditionalTags)}")));
    }

    // To the configuration a colon is the beginning of a section of its own.
    private static IEnumerable<string> LostTags(IConfigurationSection tags) => tags.GetChildren().Where(child => child.GetChildren().Any())
        .Select(child => $"{tags.Path} has a key that begins with '{child.Key}:'; a tag whose key has a colon cannot be set here. Leave it out, or put it on the interfaces by a tag policy of the account.");

    // Our texts name the setting in full; the validator puts the property's name before some of them, and has a text of its own
    // for ranges, whatever the attribute says.
    private static IEnumerable<string> Texts(OptionsValidationException e, IReadOnlyList<string> sections)
    {
        var section = Sections.Single(section => section.Value == e.OptionsType).Key;
        return sections is not [] && !sections.Contains(section) ? [] : e.Failures.Select(text => text.IndexOf($"{section}:", StringComparison.Ordinal) is >= 0 and var start
            ? text[start..]
            : $"{section}:{text} Correct {section}__{text.Split(':')[0]}.");
    }

    private static ClusterSettings ToClusterSettings(IServiceProvider services)
    {
        var ec2 = services.GetRequiredService<IOptions<Ec2Options>>().Value;
        return new ClusterSettings(
            services.GetRequiredService<IOptions<ClusterIdentityOptions>>().Value.Name,
            ec2.VpcId!,
            ClusterSettings.QuotaKeyOf(ec2.AccountId, ec2.Region!),
            services.GetRequiredService<IOptions<PoolOptions>>().Value.ToPolicy(),
            new Timing()) { BudgetShare = ec2.BudgetShare, Switches = OperatorSwitches.NotRead };
    }
}
