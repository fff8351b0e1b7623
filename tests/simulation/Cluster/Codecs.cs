using AwsVpcCni.Silo.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Orleans.Serialization;
using Orleans.Serialization.Cloning;
using Orleans.Serialization.Configuration;
using Orleans.Serialization.Invocation;
using Orleans.CodeGeneration;
using Orleans.Serialization.Serializers;

namespace AwsVpcCni.Tests.Simulation.Cluster;

/// <summary>Orleans' own proxies and codecs, from a client that is never started. Once a process.</summary>
internal static class Codecs
{
    private static readonly IServiceProvider Services = Build();
    private static readonly Dictionary<Type, (Type Proxy, GrainReferenceShared Shared)> Proxies = [];

    /// <summary>The world that runs now: references inside messages, and sends, go to it. One world at a time a process.</summary>
    public static Transport? Running { get; set; }

    private static Serializer Serializer { get; } = Services.GetRequiredService<Serializer>();

    public static byte[] Write(object message) => Serializer.SerializeToArray(message);

    public static T Read<T>(byte[] message) => (T)Serializer.Deserialize<object>(message)!;

    public static object Proxy(Type grainInterface, string grainType, IdSpan key)
    {
        if (!Proxies.TryGetValue(grainInterface, out var found))
        {
            var proxies = Services.GetRequiredService<IOptions<TypeManifestOptions>>().Value.InterfaceProxies;
            found = (
                proxies.Single(grainInterface.IsAssignableFrom),
                new GrainReferenceShared(GrainType.Create(grainType), GrainInterfaceType.Create(grainInterface.FullName!), 0, new Sender(), InvokeMethodOptions.None,
                    Services.GetRequiredService<CodecProvider>(), Services.GetRequiredService<CopyContextPool>(), Services));
            Proxies[grainInterface] = found;
        }

        return Activator.CreateInstance(found.Proxy, found.Shared, key)!;
    }

    private static IServiceProvider Build()
    {
        var host = Host.CreateEmptyApplicationBuilder(null);
        host.UseOrleansClient(client => client.UseLocalhostClustering());
        host.Services.AddCoreSerializer();
        host.Services.Replace(ServiceDescriptor.Singleton<IGrainFactory>(new Factory()));
        return host.Build().Services;
    }

    /// <summary>What every proxy hands its requests to.</summary>
    private sealed class Sender : IGrainReferenceRuntime
    {
        public ValueTask<T?> InvokeMethodAsync<T>(GrainReference reference, IInvokable request, InvokeMethodOptions options) => new(Running!.CallAsync<T>(reference.GrainId, request, options));

        public ValueTask InvokeMethodAsync(GrainReference reference, IInvokable request, InvokeMethodOptions options) => new(Running!.CallAsync<object>(reference.GrainId, request, options));

        public void InvokeMethod(GrainReference reference, IInvokable request, InvokeMethodOptions options) =>
            _ = Running!.CallAsync<object>(reference.GrainId, request, options | InvokeMethodOptions.OneWay);

        public object Cast(IAddressable grain, Type interfaceType) => grain;
    }
}
