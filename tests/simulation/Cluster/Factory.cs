using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.History;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Grains.Vpc;

namespace AwsVpcCni.Tests.Simulation.Cluster;

/// <summary>References to grains and observers by id. What no grain of ours calls is not there.</summary>
internal sealed class Factory : IGrainFactory
{
    /// <summary>The grain type of what a door registers.</summary>
    public const string Hints = "hints";

    private static readonly Dictionary<Type, string> Types = new()
    {
        [typeof(INodeGrain)] = "node", [typeof(ISubnetGrain)] = "subnet", [typeof(IVpcGrain)] = "vpc", [typeof(IEc2QuotaGrain)] = "quota", [typeof(IClusterGrain)] = "cluster",
        [typeof(IAddressHistoryGrain)] = "history",
        [typeof(INodeHints)] = Hints,
    };

    public TGrainInterface GetGrain<TGrainInterface>(string primaryKey, string? grainClassNamePrefix = null)
        where TGrainInterface : IGrainWithStringKey => (TGrainInterface)Codecs.Proxy(typeof(TGrainInterface), Types[typeof(TGrainInterface)], IdSpan.Create(primaryKey));

    public IAddressable GetGrain(GrainId grainId, GrainInterfaceType interfaceType) =>
        (IAddressable)Codecs.Proxy(Types.Keys.Single(type => GrainInterfaceType.Create(type.FullName!) == interfaceType), grainId.Type.ToString()!, grainId.Key);

    public static INodeHints HintsTo(string key) => (INodeHints)Codecs.Proxy(typeof(INodeHints), Hints, IdSpan.Create(key));

    public TGrainInterface GetGrain<TGrainInterface>(Guid primaryKey, string? grainClassNamePrefix = null)
        where TGrainInterface : IGrainWithGuidKey => throw Unused();

    public TGrainInterface GetGrain<TGrainInterface>(long primaryKey, string? grainClassNamePrefix = null)
        where TGrainInterface : IGrainWithIntegerKey => throw Unused();

    public TGrainInterface GetGrain<TGrainInterface>(Guid primaryKey, string keyExtension, string? grainClassNamePrefix = null)
        where TGrainInterface : IGrainWithGuidCompoundKey => throw Unused();

    public TGrainInterface GetGrain<TGrainInterface>(long primaryKey, string keyExtension, string? grainClassNamePrefix = null)
        where TGrainInterface : IGrainWithIntegerCompoundKey => throw Unused();

    public TGrainObserverInterface CreateObjectReference<TGrainObserverInterface>(IGrainObserver obj)
        where TGrainObserverInterface : IGrainObserver => throw Unused();

    public void DeleteObjectReference<TGrainObserverInterface>(IGrainObserver obj)
        where TGrainObserverInterface : IGrainObserver => throw Unused();

    public IGrain GetGrain(Type grainInterfaceType, Guid grainPrimaryKey) => throw Unused();

    public IGrain GetGrain(Type grainInterfaceType, long grainPrimaryKey) => throw Unused();

    public IGrain GetGrain(Type grainInterfaceType, string grainPrimaryKey) => throw Unused();

    public IGrain GetGrain(Type grainInterfaceType, Guid grainPrimaryKey, string keyExtension) => throw Unused();

    public IGrain GetGrain(Type grainInterfaceType, long grainPrimaryKey, string keyExtension) => throw Unused();

    public TGrainInterface GetGrain<TGrainInterface>(GrainId grainId)
        where TGrainInterface : IAddressable => throw Unused();

    public IAddressable GetGrain(GrainId grainId) => throw Unused();

    public IAddressable GetGrain(Type interfaceType, IdSpan grainKey, string grainClassNamePrefix) => throw Unused();

    public IAddressable GetGrain(Type interfaceType, IdSpan grainKey) => throw Unused();

    private static NotSupportedException Unused() => new("no grain of ours calls it");
}
