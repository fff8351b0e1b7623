using AwsVpcCni.Silo.Hosting;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Storage;

namespace AwsVpcCni.Silo.Cli;

/// <summary>The store's parts for a command that needs no running silo, by the silo's own settings.</summary>
internal static class CommandParts
{
    /// <summary>They are made when they are asked for: nothing is opened yet.</summary>
    /// <exception cref="CommandException">What is wrong with the settings, as the silo says it.</exception>
    public static ServiceProvider OfStore()
    {
        var settings = Settings();
        return SiloSettings.Errors(settings, "Cluster", "Ec2", "Storage", "Silo") is { Count: > 0 } errors ? throw new CommandException(errors) : Of(settings).BuildServiceProvider();
    }

    /// <summary>The silo's settings, not checked.</summary>
    public static ConfigurationManager Settings()
    {
        var settings = new ConfigurationManager();
        settings.AddSiloSettings();
        return settings;
    }

    /// <summary>The parts by settings that are right.</summary>
    public static IServiceCollection Of(IConfiguration settings) => new ServiceCollection()
        .AddSingleton(settings).AddSingleton(TimeProvider.System).AddTransient(_ => new Random()).AddLogging()
        .AddSiloOptions().AddClusterIdentity().AddStorage(settings);
}
