using AwsVpcCni.Grains;
using AwsVpcCni.Silo.Api;
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
    };

    /// <summary>The file beside the program, which is read again when it changes; then the variables of amazon-vpc-cni-k8s; then our own (<c>Pool__WarmIps</c>).</summary>
    public static void AddSiloSettings(this ConfigurationManager configuration)
    {
        configuration.Sources.Clear();
        configuration.AddJsonFile(Path.Combine(AppContext.BaseDirectory, "appsettings.json"), optional: true, reloadOnChange: true);
        configuration.AddInMemoryCollection(Taken(new ConfigurationBuilder().AddEnvironmentVariables().Build()));
        configuration.AddEnvironmentVariables();
    }

    /// <summary>Every options class with its section and its validator, and what the grains see of them.</summary>
    public static IServiceCollection AddSiloOptions(this IServiceCollection services)
    {
        services.AddSection<ClusterIdentityOptions, ClusterIdentityOptionsValidator>();
        services.AddSection<Ec2Options, Ec2OptionsValidator>()
            .PostConfigure<IConfiguration>((options, configuration) => options.Region ??= configuration["AWS_REGION"]);
        services.AddSection<PoolOptions, PoolOptionsValidator>();
        services.AddSection<StorageOptions, StorageOptionsValidator>()
            .PostConfigure<IConfiguration>((options, configuration) => options.Region ??= configuration["Ec2:Region"] ?? configuration["AWS_REGION"]);
        services.AddSection<NodeApiOptions, NodeApiOptionsValidator>();
        services.AddSection<HttpOptions, HttpOptionsValidator>();
        services.AddSection<SiloNetworkOptions, SiloNetworkOptionsValidator>().Validate<IOptions<StorageOptions>>(
            (network, storage) => network.Clustering != SiloNetworkOptions.DynamoDb || storage.Value.Provider == StorageOptions.DynamoDb,
            "Silo:Clustering is dynamodb, and Storage:Provider is not: silos share what they store; set Storage__Provider=dynamodb.");
        return services.AddSingleton(ToClusterSettings);
    }

    /// <summary>The policy as it is now, and the door to change it.</summary>
    public static IServiceCollection AddPolicies(this IServiceCollection services) => services
        .AddSingleton<PolicyFollower>().AddHostedService(parts => parts.GetRequiredService<PolicyFollower>()).AddSingleton<PolicyApi.Caller>();

    /// <summary>What is wrong with the settings, each with what to set; empty when nothing is.</summary>
    /// <remarks>In a container of its own: the web application reads some settings while it is built.</remarks>
    /// <param name="sections">Of these only; none: of all.</param>
    public static IReadOnlyList<string> Errors(IConfiguration configuration, params IReadOnlyList<string> sections)
    {
        var reading = VpcCniEnvironment.Read(configuration);
        // What is not asked for is left out: its values may be such that nothing can be bound to them.
        configuration = new ConfigurationBuilder().AddInMemoryCollection(Taken(configuration).Concat(configuration.AsEnumerable())
            .Where(setting => setting.Value is not null && !Sections.Keys.Any(section => !IsAsked(section) && setting.Key.StartsWith($"{section}:", StringComparison.OrdinalIgnoreCase)))).Build();
        using var parts = new ServiceCollection().AddSingleton(configuration).AddSiloOptions().BuildServiceProvider();
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
            .Select(child => $"{section}:{child.Key} is no setting; {section} has {string.Join(", ", known)}.");
    }

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
            $"{ec2.AccountId ?? "account"}/{ec2.Region}",
            services.GetRequiredService<IOptions<PoolOptions>>().Value.ToPolicy(),
            new Timing());
    }
}
