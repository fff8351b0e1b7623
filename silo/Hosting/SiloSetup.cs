using System.Net;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Silo.Certificates;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Storage.DynamoDb;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using Orleans.Serialization;
using Orleans.Serialization.Cloning;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace AwsVpcCni.Silo.Hosting;

/// <summary>How Orleans is set up, in the silo, in an edge and in <c>ipam</c>.</summary>
internal static class SiloSetup
{
    /// <summary>One silo with its membership in memory, or one of those in DynamoDB's membership table.</summary>
    public static void UseClustering(this ISiloBuilder silo, IConfiguration configuration)
    {
        if (configuration["Silo:Clustering"] == SiloNetworkOptions.DynamoDb)
        {
            silo.UseDynamoDBClustering();
        }
        else
        {
            silo.UseDevelopmentClustering(options => options.Configure<IOptions<SiloNetworkOptions>>((clustering, network) =>
                clustering.PrimarySiloEndpoint = new IPEndPoint(IPAddress.Parse(network.Value.Address), network.Value.Port)));
        }

        silo.Services.AddOptions<EndpointOptions>().Configure<IOptions<SiloNetworkOptions>>((endpoints, network) =>
        {
            endpoints.AdvertisedIPAddress = IPAddress.Parse(network.Value.Address);
            endpoints.SiloPort = network.Value.Port;
            endpoints.GatewayPort = network.Value.GatewayPort;
            endpoints.SiloListeningEndpoint = new IPEndPoint(endpoints.AdvertisedIPAddress, network.Value.Port);
            // Whoever reaches a gateway can call any grain, so it is for this machine only, unless the settings say otherwise.
            endpoints.GatewayListeningEndpoint = new IPEndPoint(network.Value.GatewayAddress(), network.Value.GatewayPort);
        });
        silo.Services.AddPeerTls(PeerRole.Silo).AddOptions<SiloConnectionOptions>().Configure<PeerTls>((connections, tls) => tls.Protect(connections));
        silo.Services.AddClusterIdentity();
        silo.Services.AddOptions<ClusterMembershipOptions>().Configure(membership =>
        {
            membership.ProbeTimeout = TimeSpan.FromSeconds(1);
            membership.NumMissedProbesLimit = 3;
            // A silo is not suspected within three of these after its last message. With Orleans' 4 s one that stands still was missed for 14 s.
            membership.MaxProbeTimeout = TimeSpan.FromSeconds(2);
            membership.NumVotesForDeathDeclaration = 1; // Where two silos are, nobody is left for a second vote.
        });
        silo.Services.AddCoreSerializer();
    }

    /// <summary>A client of the silos in DynamoDB's membership table, or of those whose gateways the settings name. It starts when one answers.</summary>
    public static void UseSilos(this IClientBuilder client, IConfiguration configuration)
    {
        if (configuration["Silo:Clustering"] == SiloNetworkOptions.DynamoDb)
        {
            client.UseDynamoDBClustering();
        }
        else
        {
            client.UseStaticClustering(options => options.Configure<IOptions<EdgeOptions>>((gateways, edge) =>
                gateways.Gateways = [.. edge.Value.Endpoints().Select(endpoint => endpoint.ToGatewayUri())]));
        }

        client.UsePeerTls();
        client.Services.AddClusterIdentity().AddCoreSerializer();
        client.Configure<GatewayOptions>(options => options.GatewayListRefreshPeriod = TimeSpan.FromSeconds(5)); // The design's refresh of the silo list.
        client.Configure<ClientMessagingOptions>(options => options.ResponseTimeout = TimeSpan.FromSeconds(10)); // The doors wait less; it ends what they no longer wait for.
        client.Services.AddSingleton<SiloLink>().AddSingleton<IClientConnectionRetryFilter>(parts => parts.GetRequiredService<SiloLink>())
            .AddSingleton<IClusterConnectionStatusObserver>(parts => parts.GetRequiredService<SiloLink>());
        // A line each attempt and each call while there is no silo; the link says it once.
        client.Services.AddLogging(logging => logging.AddFilter("Orleans.Runtime.Messaging.ConnectionManager", LogLevel.Error).AddFilter("Orleans.Messaging", LogLevel.Error));
        // The doors answer meanwhile, and say that the edge is not ready: else whoever looks at its health would end it.
        client.Services.Configure<HostOptions>(host => host.ServicesStartConcurrently = true);
    }

    /// <summary>A client shows its certificate to silos, if it has one.</summary>
    public static void UsePeerTls(this IClientBuilder client) =>
        client.Services.AddPeerTls(PeerRole.Client).AddOptions<ClientConnectionOptions>().Configure<PeerTls>((connections, tls) => tls.Protect(connections));

    private static IServiceCollection AddPeerTls(this IServiceCollection services, PeerRole role)
    {
        services.AddSingleton(parts => ActivatorUtilities.CreateInstance<PeerTls>(parts, role)).AddSingleton<IFollowed>(parts => parts.GetRequiredService<PeerTls>());
        services.AddSingleton<RefusedConnections>().TryAddSingleton<TlsMetrics>();
        return services.AddLogging(logging => logging.AddFilter("Orleans.Connections.Security", LogLevel.Error)); // We say it ourselves.
    }

    /// <summary>What Orleans calls the cluster and its service.</summary>
    public static IServiceCollection AddClusterIdentity(this IServiceCollection services)
    {
        // Explicit on both sides: clustering helpers leave "default" here, and a client of another name only warns and loops.
        services.AddOptions<ClusterOptions>().Configure<IOptions<ClusterIdentityOptions>, IOptions<SiloNetworkOptions>>((cluster, identity, network) =>
        {
            cluster.ServiceId = network.Value.ServiceId;
            cluster.ClusterId = identity.Value.Name;
        });
        return services;
    }

    /// <summary>The core's records carry no attribute of Orleans; between silos they travel as the JSON of the node API.</summary>
    public static IServiceCollection AddCoreSerializer(this IServiceCollection services) => services.AddSingleton<IGeneralizedCopier, CoreCopier>().AddSerializer(serializer =>
    {
        // Orleans writes a type's name before its JSON, and reads back only types that are allowed.
        serializer.Configure(manifest => manifest.AddAllowedAssembly(typeof(NodeJson).Assembly));
        serializer.AddJsonSerializer(
            IsOfCore, isCopyable: _ => false,
            // The reflection resolver serves what crosses between grains only, such as Ec2Action.
            options => options.Configure(codec => codec.SerializerOptions = new JsonSerializerOptions(NodeJson.Default.Options)
            {
                TypeInfoResolver = JsonTypeInfoResolver.Combine(NodeJson.Default, new DefaultJsonTypeInfoResolver()),
            }));
    });

    private static bool IsOfCore(Type type) => type.Namespace?.StartsWith("AwsVpcCni.Core", StringComparison.Ordinal) == true;

    /// <summary>Within a silo a message needs no copy: the core's records cannot change. As JSON there and back it took 0.1 ms of each ADD.</summary>
    private sealed class CoreCopier : IGeneralizedCopier
    {
        public bool IsSupportedType(Type type) => IsOfCore(type);

        public object? DeepCopy(object? input, CopyContext context) => input;
    }
}
