using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Tests.Simulation.Cluster;

/// <summary>The settings of one silo's process: the section <c>Pool</c> of a file that all of them read, each at its own time.</summary>
/// <param name="content">What the file says now.</param>
internal sealed class PolicyFile(Func<PoolOptions> content) : IOptionsFactory<PoolOptions>
{
    private readonly IConfigurationRoot _root = new ConfigurationBuilder().AddInMemoryCollection().Build();

    public IConfiguration Configuration => _root;

    public PoolOptions CurrentValue { get; private set; } = content();

    /// <summary>The process notices that its file has changed.</summary>
    public void Reload()
    {
        CurrentValue = content();
        _root.Reload();
    }

    public PoolOptions Create(string name) => CurrentValue;
}
