using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.Grains.Node;

/// <summary>Where an interface stands in its life. It only goes forward, but for <see cref="Lost"/>, which ends when someone attaches it again, and <see cref="Excluded"/>, which ends with the tag.</summary>
public enum InterfaceStage
{
    /// <summary>CreateNetworkInterface is stored, and not known to have happened.</summary>
    Creating,

    /// <summary>It is made; AttachNetworkInterface is next.</summary>
    Attaching,

    /// <summary>It is attached; it must go with its instance before its first address is leased.</summary>
    Configuring,

    /// <summary>In the executor's orders; not reported as set up yet.</summary>
    SettingUp,

    /// <summary>Its addresses may be on pods.</summary>
    Ready,

    /// <summary>Someone else has detached it.</summary>
    Lost,

    /// <summary>In nobody's orders; DetachNetworkInterface is next.</summary>
    Detaching,

    /// <summary>Detached; DeleteNetworkInterface is next.</summary>
    Deleting,

    /// <summary>Its subnet is excluded by its tag: the pods on it go on, and no other gets an address of it.</summary>
    Excluded,
}

/// <summary>Where an address or prefix stands in its life: drawn, warm, on a pod, cooling, warm again, and in the end asked back and returned.</summary>
public enum BlockStage
{
    /// <summary>Named by the ledger; EC2 has not confirmed it.</summary>
    Drawing,

    /// <summary>Free and rested.</summary>
    Warm,

    /// <summary>At least one address is on a sandbox.</summary>
    OnPod,

    /// <summary>No address is on a sandbox, and at least one has not rested.</summary>
    Cooling,

    /// <summary>The executor is asked to leave it out of its lease.</summary>
    AskedBack,

    /// <summary>In nobody's lease; EC2 has not confirmed that it is gone.</summary>
    Returning,

    /// <summary>Someone else has taken it from the interface.</summary>
    Lost,

    /// <summary>Someone else has taken it from the interface, and a pod still has it: that pod has no network.</summary>
    LostOnPod,
}

/// <summary>One block of a node, with its interface.</summary>
/// <param name="EniId">Empty for an interface that is being made.</param>
/// <param name="Block">Null for an interface that has none.</param>
/// <param name="Stage">Null for an interface without blocks.</param>
/// <param name="Pods">That have an address of it.</param>
[GenerateSerializer, Immutable]
public sealed record BlockLife(
    [property: Id(0)] string EniId, [property: Id(1)] int DeviceIndex, [property: Id(2)] string SubnetId, [property: Id(3)] InterfaceStage Interface,
    [property: Id(4)] Block? Block, [property: Id(5)] BlockStage? Stage, [property: Id(6)] ImmutableArray<PodName> Pods);

/// <summary>The states of all that a node has, read from its document: nothing else keeps them.</summary>
internal static class NodeLives
{
    /// <param name="setUp">Interfaces that the executor has reported as ready.</param>
    /// <param name="podOn">Whose an address is; null for free.</param>
    /// <param name="isRested">Whether a free address may be used.</param>
    /// <param name="isExcluded">Whether an interface gives pods nothing any more.</param>
    public static ImmutableArray<BlockLife> Of(NodeDocument document, IReadOnlySet<string> setUp, Func<Ip, PodName?> podOn, Func<Ip, bool> isRested, Func<EniDocument, bool>? isExcluded = null) =>
    [
        .. from eni in document.Interfaces
           let stage = eni.IsLost ? InterfaceStage.Lost : isExcluded?.Invoke(eni) == true ? InterfaceStage.Excluded : setUp.Contains(eni.EniId) ? InterfaceStage.Ready : InterfaceStage.SettingUp
           let moving = from intent in document.Intents
                        where intent.EniId == eni.EniId && intent.Kind is not (IntentKind.AddInterface or IntentKind.RemoveInterface)
                        from name in intent.Names
                        select new BlockLife(eni.EniId, eni.DeviceIndex, eni.SubnetId, stage, name, intent.Kind == IntentKind.Return ? BlockStage.Returning : BlockStage.Drawing, [])
           let held = from held in eni.Blocks
                      let pods = held.Block.Addresses.Select(podOn).OfType<PodName>().ToImmutableArray()
                      select new BlockLife(eni.EniId, eni.DeviceIndex, eni.SubnetId, stage, held.Block, StageOf(held, pods, isRested), pods)
           from life in held.Concat(moving).DefaultIfEmpty(new BlockLife(eni.EniId, eni.DeviceIndex, eni.SubnetId, stage, null, null, []))
           select life,
        .. from intent in document.Intents
           where intent.Kind is IntentKind.AddInterface or IntentKind.RemoveInterface
           let isNew = intent.Kind == IntentKind.AddInterface
           let stage = (isNew, intent.EniId.Length, intent.AttachmentId.Length) switch
           {
               (true, 0, _) => InterfaceStage.Creating,
               (true, _, 0) => InterfaceStage.Attaching,
               (true, _, _) => InterfaceStage.Configuring,
               (false, _, > 0) => InterfaceStage.Detaching,
               _ => InterfaceStage.Deleting,
           }
           from block in intent.Names.Skip(1).Select(name => (Block?)name).DefaultIfEmpty(null) // The first is its own address.
           select new BlockLife(intent.EniId, intent.DeviceIndex, intent.SubnetId, stage, block, block is null ? null : isNew ? BlockStage.Drawing : BlockStage.Returning, []),
    ];

    private static BlockStage StageOf(HeldBlock held, ImmutableArray<PodName> pods, Func<Ip, bool> isRested) => (held.IsLost, pods.IsEmpty, held.AskedBackAt) switch
    {
        (true, true, _) => BlockStage.Lost,
        (true, false, _) => BlockStage.LostOnPod,
        (_, false, _) => BlockStage.OnPod,
        (_, _, not null) => BlockStage.AskedBack,
        _ => held.Block.Addresses.All(isRested) ? BlockStage.Warm : BlockStage.Cooling,
    };
}
