using System.Collections.Immutable;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Vpc;

namespace AwsVpcCni.Grains.Node;

/// <content>What EC2 shows of the instance: asked for when something is not known, and now and then.</content>
public sealed partial class NodeGrain
{
    private const string PlainType = "interface";
    private const string NoManageTag = "node.k8s.amazonaws.com/no_manage"; // vpc-cni.md 1.5: such an interface is untouchable.
    private static readonly TimeSpan AskAgain = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan AbsenceProvesNothing = TimeSpan.FromSeconds(60);

    /// <summary>Twice within the time that a returned block is on record.</summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromMinutes(5);

    private DateTimeOffset _lookAskedAt = DateTimeOffset.MinValue;
    private DateTimeOffset? _viewedAt;
    private int _looks; // In a row, without a view that could be used.

    /// <inheritdoc/>
    public async Task DescribedAsync(InstanceView view)
    {
        if (_lost || (view.StartedChange < _doc.Change && !_doc.Interfaces.IsEmpty))
        {
            return; // It began before our own last change: it cannot know that. The work loop asks again.
        }

        if (view.Instance is null)
        {
            Trouble(new Reason(ReasonCode.NodeStarting, $"{InstanceId}: EC2 shows no such instance in {settings.VpcId}. Check the VPC setting and the instance that the node's token names."));
            return;
        }

        if (_doc.Interfaces.IsEmpty)
        {
            await AdoptAsync(view, view.Instance);
        }
        else
        {
            (_looks, _viewedAt) = (0, time.GetUtcNow());
            await AdoptLateAsync(view);
            foreach (var intent in _doc.Intents.Where(intent => intent.EffectUnknown))
            {
                var shown = view.Interfaces.FirstOrDefault(eni => eni.EniId == intent.EniId);
                await (intent.Kind is IntentKind.AddInterface or IntentKind.RemoveInterface
                    ? ResolveInterfaceAsync(intent, shown, view)
                    : ResolveAsync(intent, [.. shown?.Held ?? []]));
            }
        }

        Kick();
    }

    private void AskForLooks()
    {
        var now = time.GetUtcNow();
        _viewedAt ??= now;
        var isNeeded = _doc.Interfaces.IsEmpty ? _report is not null : _doc.Intents.Any(intent => intent.EffectUnknown) || (now - _viewedAt.Value).Duration() >= LookAgain;
        if (isNeeded && (now - _lookAskedAt).Duration() >= AskAgain * Math.Pow(2, Math.Min(_looks, 5)))
        {
            (_lookAskedAt, _looks) = (now, _looks + 1);
            grains.GetGrain<IVpcGrain>(settings.VpcId).DescribeMeAsync(InstanceId, _doc.Change).Ignore();
        }
    }

    /// <summary>The first look: what the primary interface and those with our cluster's tag hold is ours from now on.</summary>
    private async Task AdoptAsync(InstanceView view, Ec2Instance instance)
    {
        var adopted = from eni in view.Interfaces
                      where IsOurs(eni)
                      let subnet = view.Subnets.FirstOrDefault(subnet => subnet.SubnetId == eni.SubnetId)
                      where subnet is not null
                      select new EniDocument
                      {
                          EniId = eni.EniId, Mac = eni.Mac, DeviceIndex = eni.Attachment!.DeviceIndex, NetworkCard = eni.Attachment.NetworkCard,
                          SubnetId = eni.SubnetId, SubnetCidr = subnet.Cidr, PrimaryAddress = eni.Addresses[0],
                          AttachmentId = eni.Attachment.AttachmentId, Groups = eni.Groups, IsPinned = eni.Type != PlainType,
                          Blocks = [.. eni.Held.Order().Select(block => new HeldBlock(block))],
                      };
        var interfaces = adopted.OrderBy(eni => eni.DeviceIndex).ToImmutableArray();
        if (!interfaces.Any(eni => eni.DeviceIndex == 0) || view.Limits is null)
        {
            Trouble(new Reason(ReasonCode.NodeStarting, view.Limits is null
                ? $"{InstanceId}: the limits of its type {instance.InstanceType} are not known yet."
                : $"{InstanceId}: EC2 shows no primary interface yet."));
            return;
        }

        (_trouble, _looks) = (null, 0);
        if (await StoreAsync(_doc with
        {
            InstanceType = instance.InstanceType, Zone = instance.Zone, AddressesPerInterface = view.Limits.AddressesPerInterface, MaxInterfaces = view.Limits.MaxInterfaces,
            TakesPrefixes = view.Limits.TakesPrefixes, Siblings = SiblingsIn(view, interfaces),
            ForeignDevices = [.. view.Interfaces.Where(eni => eni.Attachment is { NetworkCard: 0 } && !interfaces.Any(ours => ours.EniId == eni.EniId)).Select(eni => eni.Attachment!.DeviceIndex)],
            Interfaces = interfaces, LeaseVersion = _doc.LeaseVersion + 1,
        }))
        {
            LogJoined(InstanceId, instance.InstanceType, instance.Zone, interfaces.Sum(eni => eni.Addresses.Length));
            Hint();
        }
    }

    /// <summary>The primary interface always; of the others on the default card those that our tags name, and those that nobody's do.</summary>
    private bool IsOurs(Ec2Interface eni) => eni.Attachment is { NetworkCard: 0 } attachment && (attachment.DeviceIndex == 0 ||
        (eni.Type is PlainType or "efa" && eni.Tags.GetValueOrDefault(NoManageTag) != "true" && (eni.Tags.GetValueOrDefault(ClusterTag) is { } cluster
            ? cluster == settings.ClusterName
            : Policy.ManageUntagged || eni.Tags.GetValueOrDefault(NodeTag) == InstanceId)));

    private static ImmutableArray<SiblingSubnet> SiblingsIn(InstanceView view, IEnumerable<EniDocument> interfaces) =>
        [.. view.Subnets.Where(subnet => !interfaces.Any(eni => eni.DeviceIndex == 0 && eni.SubnetId == subnet.SubnetId) && subnet.Zone == view.Instance?.Zone)
            .Select(subnet => new SiblingSubnet(subnet.SubnetId, subnet.Cidr))];

    /// <summary>A draw whose answer was lost can happen after its addresses were found, taken and returned. Only what an intent of ours named
    /// can have come so; what hands have added stays theirs.</summary>
    private async Task AdoptLateAsync(InstanceView view)
    {
        var now = time.GetUtcNow();
        var late = (from gone in _doc.Departed
                    where now - gone.At >= AbsenceProvesNothing && _doc.Eni(gone.EniId) is not null
                        && view.Interfaces.Any(eni => eni.EniId == gone.EniId && eni.Held.Contains(gone.Block))
                        && !_doc.Interfaces.Any(eni => eni.Blocks.Any(held => held.Block == gone.Block)) && !_doc.Intents.Any(intent => intent.Names.Contains(gone.Block))
                    select gone).ToImmutableArray();
        if (late.IsEmpty)
        {
            return;
        }

        var next = _doc with { LeaseVersion = _doc.LeaseVersion + 1, Departed = [.. _doc.Departed.Except(late)] };
        foreach (var eni in late.GroupBy(gone => gone.EniId, gone => gone.Block, StringComparer.Ordinal))
        {
            next = next.WithEni(Drawn(next.Eni(eni.Key)!, [.. eni.Distinct()]));
        }

        if (await StoreAsync(next))
        {
            LogCameLate(InstanceId, late.Sum(gone => gone.Block.Size));
            Hint();
        }
    }
}
