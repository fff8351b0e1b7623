using Amazon;
using Amazon.DynamoDBv2;
using Amazon.Runtime;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;
using Orleans.Messaging;
using Orleans.Runtime.Hosting;

namespace AwsVpcCni.Silo.Storage.DynamoDb;

/// <summary>The parts of the store in DynamoDB.</summary>
internal static class DynamoDbSetup
{
    /// <summary>Documents, rows and history in one table each.</summary>
    public static IServiceCollection AddDynamoDbStorage(this IServiceCollection services) => services
        .AddMembershipRows()
        .AddSingleton<AddressHistory>()
        .AddSingleton<IAddressBook, AddressBook>()
        .AddSingleton<ImportMark>()
        .AddSingleton<Tables>()
        .AddSingleton<IStore>(parts => parts.GetRequiredService<Tables>())
        .AddSingleton<MembershipTable>() // Also where it is not the silo's own: who runs on the tables stands in it.
        .AddSingleton<GrainStorage>()
        .AddGrainStorage(DocumentJson.StorageName, (parts, _) => parts.GetRequiredService<GrainStorage>())
        .AddSingleton<IStoreContents, Contents>();

    /// <summary>Who is in the membership table, and nothing else of the store.</summary>
    private static IServiceCollection AddMembershipRows(this IServiceCollection services) => services
        .AddSingleton<StoreMetrics>()
        .AddSingleton(parts =>
        {
            var config = Config(parts.GetRequiredService<IOptions<StorageOptions>>().Value);
            config.HttpClientFactory = parts.GetService<HttpClientFactory>();
            return ActivatorUtilities.CreateInstance<Sender>(parts, () => (IAmazonDynamoDB)new AmazonDynamoDBClient(config));
        })
        .AddSingleton<MembershipRows>();

    /// <summary>The silo is one of those in the membership table.</summary>
    public static ISiloBuilder UseDynamoDBClustering(this ISiloBuilder silo)
    {
        silo.Services.AddSingleton<IMembershipTable>(parts => parts.GetRequiredService<MembershipTable>())
            .AddSingleton<IGatewayListProvider, GatewayList>();
        return silo;
    }

    /// <summary>The client finds the silos in the membership table.</summary>
    public static void UseDynamoDBClustering(this IClientBuilder client) => client.Services.AddMembershipRows().AddSingleton<IGatewayListProvider, GatewayList>();

    /// <summary>One send for each call: <see cref="Sender"/> repeats. Credentials and, unless set here, the endpoint come from the SDK's own settings.</summary>
    public static AmazonDynamoDBConfig Config(StorageOptions options)
    {
        var config = new AmazonDynamoDBConfig
        {
            // Both, and only both: cut connections are resent up to 10 times outside our bound.
            MaxErrorRetry = 0,
            MaxStaleConnectionRetries = 0,
            RetryMode = RequestRetryMode.Standard, // Adaptive adds a limiter of its own.
            MaxConnectionsPerServer = 64, // Of HTTP/1.1, one request each: a burst of ADDs must not be a burst of TLS handshakes.
        };
        if (options.ServiceUrl is null)
        {
            config.RegionEndpoint = RegionEndpoint.GetBySystemName(options.Region);
        }
        else
        {
            config.ServiceURL = options.ServiceUrl;
            config.AuthenticationRegion = options.Region;
        }

        return config;
    }
}
