using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Subnet;

namespace AwsVpcCni.Grains.Node;

/// <content>Interfaces that come and go: each EC2 call is one step, stored before the next.</content>
public sealed partial class NodeGrain
{
    /// <summary>On each interface that we make: the cluster's name. As amazon-vpc-cni-k8s has it, vpc-cni.md 1.5.</summary>
    public const string ClusterTag = "cluster.k8s.amazonaws.com/name";

    /// <summary>The same with the instance that it is made for.</summary>
    public const string NodeTag = "node.k8s.amazonaws.com/instance_id";

    /// <summary>The same with the id of the intent.</summary>
    public const string IntentTag = "aws-vpc-cni/intent";

    /// <summary>Somebody's word that an interface is untouchable, when it is "true".</summary>
    public const string NoManageTag = "node.k8s.amazonaws.com/no_manage";

    private const int AttachTries = 8;
    private const int DeleteTriesBeforeALook = 4;

    private NodeDocument WithAdd(NodeDocument document, PoolAction.AddInterface add) => document.WithIntent("", new Intent
    {
        Id = NewId(document), Kind = IntentKind.AddInterface, EniId = "", SubnetId = add.SubnetId, Count = add.Count, OfPrefixes = add.Prefixes,
        DeviceIndex = FreeDevices(document).First(), Tags = Policy.AdditionalTags, Groups = GroupsWanted(document),
    });

    /// <summary>From here on the interface is in nobody's orders, and it goes, whatever happens.</summary>
    private NodeDocument WithRemove(NodeDocument document, EniDocument eni) => (document with
    {
        LeaseVersion = document.LeaseVersion + 1, Interfaces = document.Interfaces.Remove(eni),
    }).WithIntent("", new Intent
    {
        Id = NewId(document), Kind = IntentKind.RemoveInterface, EniId = eni.EniId, SubnetId = eni.SubnetId, Count = 1,
        Names = AllOf(eni), DeviceIndex = eni.DeviceIndex, AttachmentId = eni.AttachmentId,
    });

    /// <inheritdoc/>
    public async Task LeakedAsync(Ec2Interface eni)
    {
        ArgumentNullException.ThrowIfNull(eni);
        var names = eni.Held.Prepend(new Block(eni.Addresses[0])).ToImmutableArray();
        if (_lost || !MayTake(eni.SubnetId) || _doc.Interfaces.IsEmpty || _doc.Eni(eni.EniId) is not null
            || _doc.Intents.Any(intent => intent.EniId == eni.EniId || intent.Id == eni.Tags.GetValueOrDefault(IntentTag) || intent.Names.Intersect(names).Any())
            || names.Any(_doc.HoldsUnlost) || (_report is { } report && names.SelectMany(name => name.Addresses).Any(Kept(report).Contains)) || names.Any(name => name.Addresses.Any(_use.IsOnPod)))
        {
            return; // The sweep may have begun before this.
        }

        LogLeaked(InstanceId, eni.EniId);
        if (await StoreAsync(_doc.WithIntent("", new Intent
        {
            Id = NewId(_doc), Kind = IntentKind.RemoveInterface, EniId = eni.EniId, SubnetId = eni.SubnetId, Count = 1, Names = names, WasLoose = true,
        })))
        {
            Kick();
        }
    }

    private static ImmutableArray<Block> AllOf(EniDocument eni) => [new Block(eni.PrimaryAddress), .. eni.Blocks.Select(held => held.Block)];

    /// <summary>Of what someone else has taken the node forgets these blocks, or the whole interface, and EC2 is told nothing. They may be in use
    /// elsewhere by now.</summary>
    private async Task LetGoAsync(EniDocument eni, ImmutableArray<Block> blocks)
    {
        try
        {
            // The ledger first: while they are in the document, this is repeated.
            await grains.GetGrain<ISubnetGrain>(eni.SubnetId).ReturnedAsync(InstanceId, _stored.Change, blocks, isFree: false);
            if (!ReferenceEquals(_doc.Eni(eni.EniId), eni))
            {
                return; // It has changed meanwhile.
            }

            var next = eni.IsLost
                ? _doc with { Interfaces = _doc.Interfaces.Remove(eni), ForeignDevices = _doc.ForeignDevices.Add(eni.DeviceIndex) } // It may still be there.
                : WithoutBefore(Without(_doc, eni, blocks), eni.EniId, blocks);
            if (await StoreAsync(next with { LeaseVersion = next.LeaseVersion + 1 }))
            {
                _viewedAt = eni.IsLost ? DateTimeOffset.MinValue : _viewedAt; // A look shows whether its place is free.
                LogLetGo(InstanceId, eni.EniId, string.Join(' ', blocks));
                Hint();
            }
        }
        finally
        {
            _running.Remove(eni.EniId);
        }
    }

    private static Ec2Action ActionOf(Intent intent) => intent.Kind switch
    {
        IntentKind.Return => Ec2Action.UnassignPrivateIpAddresses,
        IntentKind.AddInterface when intent.EniId.Length == 0 => Ec2Action.CreateNetworkInterface,
        IntentKind.AddInterface when intent.AttachmentId.Length == 0 => Ec2Action.AttachNetworkInterface,
        IntentKind.AddInterface => Ec2Action.ModifyNetworkInterfaceAttribute,
        IntentKind.RemoveInterface when intent.AttachmentId.Length > 0 => Ec2Action.DetachNetworkInterface,
        IntentKind.RemoveInterface => Ec2Action.DeleteNetworkInterface,
        _ => Ec2Action.AssignPrivateIpAddresses,
    };

    private async Task StepInterfaceAsync(Intent intent, Ec2Action action, CancellationToken cancellation)
    {
        switch (action)
        {
            case Ec2Action.CreateNetworkInterface:
                var tags = ImmutableSortedDictionary<string, string>.Empty.WithComparers(StringComparer.Ordinal)
                    .AddRange(intent.Tags).SetItem(ClusterTag, settings.ClusterName).SetItem(NodeTag, InstanceId).SetItem(IntentTag, intent.Id);
                var made = await ec2.CreateInterfaceAsync(new Ec2NewInterface(
                    intent.SubnetId, intent.Names, GroupsOf(intent), $"aws-vpc-cni {settings.ClusterName} {InstanceId}", tags, intent.Id), cancellation);
                await NextStepAsync(intent with { EniId = made.EniId, Mac = made.Mac });
                break;
            case Ec2Action.AttachNetworkInterface:
                await NextStepAsync(intent with { AttachmentId = await ec2.AttachAsync(intent.EniId, InstanceId, intent.DeviceIndex, 0, cancellation) });
                break;
            case Ec2Action.ModifyNetworkInterfaceAttribute:
                await ec2.SetDeleteOnTerminationAsync(intent.EniId, intent.AttachmentId, cancellation);
                await AddedAsync(intent);
                break;
            case Ec2Action.DetachNetworkInterface:
                await ec2.DetachAsync(intent.AttachmentId, cancellation);
                await NextStepAsync(intent with { AttachmentId = "" });
                break;
            default:
                await ec2.DeleteInterfaceAsync(intent.EniId, cancellation);
                await RemovedAsync(intent, isFree: true);
                break;
        }
    }

    private async Task InterfaceRefusedAsync(Intent intent, Ec2Action action, Ec2Exception refusal)
    {
        if (!Stands(intent))
        {
            return; // The store was behind the node, and what was under way is not known any more.
        }

        var tries = _declined.GetValueOrDefault(intent.Id) - 1;
        Backoff(intent);
        switch (action)
        {
            case Ec2Action.CreateNetworkInterface when intent.WasUnknown && tries < TriesBeforeTaken:
                break; // An earlier try may yet come to effect; the same token finds what it has made.
            case Ec2Action.CreateNetworkInterface when refusal.Fault == Ec2Fault.AddressTaken:
                await NamesTakenAsync(intent, Ec2Reason.Of(What(intent), action, refusal));
                break;
            case Ec2Action.CreateNetworkInterface:
                var why = Ec2Reason.Of(What(intent), action, refusal);
                Trouble(refusal.Fault == Ec2Fault.NoRoom ? why with { Code = ReasonCode.SubnetEmpty } : why);
                if (refusal.Fault == Ec2Fault.NoRoom)
                {
                    await NoRoomAsync(intent);
                }
                else
                {
                    NotMade();
                }

                await DropAsync(intent, refusal.Fault == Ec2Fault.LimitExceeded ? [] : intent.Names);
                break;
            case Ec2Action.AttachNetworkInterface when refusal.Fault == Ec2Fault.LimitExceeded:
                // EC2 allows fewer than the type's description: else one would be made and refused in a loop.
                var attached = _doc.Interfaces.Length + _doc.ForeignDevices.Length + _doc.Intents.Count(other => other.AttachmentId.Length > 0);
                await StoreAsync(WithRefused(_doc, "", attached, $"EC2 attaches no more than {attached} interfaces to this {_doc.InstanceType}, which should have {_doc.MaxInterfaces}. {Ec2Reason.Short(refusal.Message)}")
                    .WithIntent(intent.Id, intent with { Kind = IntentKind.RemoveInterface }));
                break;
            case Ec2Action.AttachNetworkInterface when refusal.Fault != Ec2Fault.AlreadySo && tries >= AttachTries:
                // A stopped instance, say. Its addresses are of more use to others; what has been attached already, only a look shows.
                NotMade();
                Trouble(Ec2Reason.Of(What(intent), action, refusal));
                await StoreAsync(_doc.WithIntent(intent.Id, intent with { Kind = IntentKind.RemoveInterface }));
                break;
            case Ec2Action.DetachNetworkInterface when refusal.Fault == Ec2Fault.NotFound:
                await NextStepAsync(intent with { AttachmentId = "" });
                break;
            case Ec2Action.DeleteNetworkInterface when refusal.Fault == Ec2Fault.NotFound && intent.Mac.Length > 0 && tries < TriesBeforeTaken:
                break; // This intent has made it, perhaps a moment ago, and not every server of EC2's may know of it yet.
            case Ec2Action.DeleteNetworkInterface when refusal.Fault == Ec2Fault.NotFound:
                await RemovedAsync(intent, isFree: false);
                break;
            case Ec2Action.DeleteNetworkInterface when intent.WasLoose:
                await DropAsync(intent, intent.Names); // Somebody has taken it, and it is theirs.
                break;
            case Ec2Action.DeleteNetworkInterface when tries < DeleteTriesBeforeALook:
                break; // Detaching takes seconds, and so long it is in use.
            default:
                await StoreAsync(_doc.WithIntent(intent.Id, intent with { EffectUnknown = true, WasUnknown = true }));
                break;
        }
    }

    /// <summary>What a look shows of an interface whose step had no answer, or a refusal that only a look explains.</summary>
    private async Task ResolveInterfaceAsync(Intent intent, Ec2Interface? shown, InstanceView view)
    {
        var next = intent with { EffectUnknown = false };
        if (intent.WasLoose && shown is not null)
        {
            await DropAsync(intent, intent.Names); // Somebody has attached it to this node, and it is theirs.
            return;
        }

        if (intent.EniId.Length > 0)
        {
            // Only attached interfaces are shown: what is not there is not attached.
            next = next with { AttachmentId = shown?.Attachment?.AttachmentId ?? "" };
            if (intent.Kind == IntentKind.AddInterface && _isEnded)
            {
                next = next with { Kind = IntentKind.RemoveInterface };
            }
            else if (intent.Kind == IntentKind.AddInterface && shown is null && view.Interfaces.Any(eni => eni.Attachment is { NetworkCard: 0 } other && other.DeviceIndex == intent.DeviceIndex))
            {
                // Someone else's is there, as ForeignDevices has it since the look's beginning. Its own place counts as taken, too.
                var device = FreeDevices(_doc.WithIntent(intent.Id, null)).FirstOrDefault();
                next = device > 0 ? next with { DeviceIndex = device } : next with { Kind = IntentKind.RemoveInterface };
            }
        }

        await StoreAsync(_doc.WithIntent(intent.Id, next));
    }

    private async Task NextStepAsync(Intent next)
    {
        _retries.Remove(next.Id);
        _declined.Remove(next.Id);
        if (Stands(next) && await StoreAsync(_doc.WithIntent(next.Id, next)))
        {
            Kick();
        }
    }

    private async Task AddedAsync(Intent intent)
    {
        // Adding takes minutes when EC2 is slow: what hands take meanwhile may be another node's by now.
        var subnet = grains.GetGrain<ISubnetGrain>(intent.SubnetId);
        var others = (await subnet.HeldByOursAsync(intent.Names)).ToImmutableHashSet();
        if (!Stands(intent))
        {
            return;
        }

        var primary = _doc.Interfaces.First(eni => eni.DeviceIndex == 0);
        var added = new EniDocument
        {
            EniId = intent.EniId, Mac = intent.Mac, DeviceIndex = intent.DeviceIndex, NetworkCard = 0, SubnetId = intent.SubnetId, SubnetCidr = _doc.Siblings.FirstOrDefault(subnet => subnet.SubnetId == intent.SubnetId)?.Cidr ?? primary.SubnetCidr,
            PrimaryAddress = intent.Names[0].First, AttachmentId = intent.AttachmentId, Groups = GroupsOf(intent), IsMade = true,
            Blocks = [.. intent.Names.Skip(1).Order().Select(name => new HeldBlock(name))],
        };
        var interfaces = _doc.Interfaces.Add(added).OrderBy(eni => eni.DeviceIndex).ToImmutableArray();
        if (await StoreAsync(WithReturn((_doc with
        {
            LeaseVersion = _doc.LeaseVersion + 1, Interfaces = interfaces, NamesRefused = 0,
            Learned = [.. _doc.Learned.Where(limit => limit.EniId.Length > 0 || limit.Most >= interfaces.Length + _doc.ForeignDevices.Length)], // This one disproves it.
        }).WithIntent(intent.Id, null), added, others)))
        {
            _retries.Remove(intent.Id);
            (_trouble, _notMade) = (null, 0);
            LogAdded(InstanceId, intent.EniId, intent.DeviceIndex, added.Addresses.Length);
            Hint();
            await subnet.SettleAsync(intent.Id, InstanceId, _stored.Change, [.. intent.Names.Except(others)], []);
        }
    }

    private async Task RemovedAsync(Intent intent, bool isFree)
    {
        // The ledger first: while the intent stands, this is repeated.
        var subnet = grains.GetGrain<ISubnetGrain>(intent.SubnetId);
        await subnet.ReturnedAsync(InstanceId, _stored.Change, intent.Names, isFree);
        await subnet.SettleAsync(intent.Id, InstanceId, _stored.Change, [], []); // One that was never attached still had its names set aside.
        if (await StoreAsync(_doc.WithIntent(intent.Id, null)))
        {
            _retries.Remove(intent.Id);
            LogRemoved(InstanceId, intent.EniId);
        }
    }
}
