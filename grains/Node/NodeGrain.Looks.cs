using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Grains.Vpc;

namespace AwsVpcCni.Grains.Node;

/// <content>What EC2 shows of the instance: asked for when something is not known, and now and then.</content>
public sealed partial class NodeGrain
{
    private const string PlainType = "interface";
    private static readonly TimeSpan AskAgain = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan AbsenceProvesNothing = TimeSpan.FromSeconds(60);

    /// <summary>Twice within the time that a returned block is on record.</summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromMinutes(5);

    private const int RoutineLooks = 3; // In a row, without a view that could be used: 28 s.
    private bool _isLookInHaste = true; // As the last one was asked for: one that gathers with others must not keep another one waiting.

    private DateTimeOffset _lookAskedAt = DateTimeOffset.MinValue;
    private DateTimeOffset? _oldestAskAt; // Of those asked for since the last view: one that comes may be of any of them.
    private DateTimeOffset _viewBegan = DateTimeOffset.MinValue; // Not before this, on this silo's clock.
    private ILookup<string, Block> _notOurs = Array.Empty<(string EniId, Block Block)>().ToLookup(one => one.EniId, one => one.Block); // By interface of ours, at the last view.
    private DateTimeOffset? _viewedAt;
    private readonly Dictionary<Block, DateTimeOffset> _missing = []; // Ours, and since when no look has shown it.
    private ImmutableArray<string> _subnetsSought = []; // Of custom networking, when a look was asked for last: one of them was not known.
    private int _looks; // In a row, without a view that could be used.
    private bool _isEnded; // The instance, as the last look shows it: nothing is planned for it, and what is under way is finished.

    /// <inheritdoc/>
    public async Task DescribedAsync(InstanceView view)
    {
        if (_lost)
        {
            return;
        }

        LookAtFate(view);
        if (view.StartedChange < _doc.Change && !_doc.Interfaces.IsEmpty)
        {
            return; // It began before our own last change: it cannot know that. The work loop asks again.
        }

        (_viewBegan, _oldestAskAt) = (_oldestAskAt ?? _lookAskedAt, null);

        // One that is terminated is later not shown at all; its interfaces, by a listing of their own, are not there either.
        _isEnded = view.Instance is null ? view.Interfaces.IsEmpty : view.Instance.State is "shutting-down" or "terminated";
        if (view.Instance is null or { State: "terminated" })
        {
            Trouble(new Reason(ReasonCode.NodeStarting, $"{InstanceId}: EC2 shows no such instance in {settings.VpcId}. Check the VPC setting and the instance that the node's token names."));
            if (!_isEnded || _doc.Interfaces.IsEmpty)
            {
                return;
            }
        }

        if (IsHeld)
        {
            _viewedAt = time.GetUtcNow();
            return; // Of what it shows nothing is used; the first report asks again, if somebody needs it.
        }

        if (_doc.Interfaces.IsEmpty)
        {
            await AdoptAsync(view, view.Instance!);
        }
        else
        {
            (_looks, _viewedAt) = (0, time.GetUtcNow());
            if (_isEnded)
            {
                _missing.Clear(); // What has gone with the instance was taken by nobody.
            }
            else
            {
                await CompareAsync(view);
                NoteOthersOn(view);
                if (!Policy.Provisions)
                {
                    await AbsorbAsync(view);
                }
            }

            if (_doc.LimitsNote is not null && view is { Limits: { } known, LimitsNote: null })
            {
                await StoreAsync(_doc with { AddressesPerInterface = known.AddressesPerInterface, MaxInterfaces = known.MaxInterfaces, TakesPrefixes = known.TakesPrefixes, LimitsNote = null });
            }

            foreach (var id in _doc.Intents.Where(intent => intent.WaitsForLook).Select(intent => intent.Id).ToArray())
            {
                if (_doc.Intents.FirstOrDefault(one => one.Id == id) is not { EffectUnknown: true } intent)
                {
                    continue; // Another look has resolved it while this one waited, and it may have ended since.
                }

                var shown = view.Interfaces.FirstOrDefault(eni => eni.EniId == intent.EniId);
                if (intent.Kind == IntentKind.Return && shown is null && !_isEnded && _declined.ContainsKey(intent.Id) && _doc.Eni(intent.EniId) is { IsLost: false })
                {
                    _looks = LooksBeforeRare; // EC2 does not know the interface, which was attached a moment ago. Or hands have taken it, which two looks a minute apart tell.
                    continue;
                }

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
        var isHeard = _report is not null && (now - _reportAt).Duration() < LookAgain;
        ImmutableArray<string> sought = IsNetworkUnknown ? Policy.Subnets : []; // The list may be of all zones.
        var isInHaste = _doc.Interfaces.IsEmpty ? isHeard : _doc.Intents.Any(intent => intent.WaitsForLook) || (isHeard && !sought.SequenceEqual(_subnetsSought) && !sought.IsEmpty);
        var isDue = !_doc.Interfaces.IsEmpty && (isHeard || !_isEnded)
            && (now - _viewedAt.Value).Duration() >= (_missing.Count > 0 || !Policy.Provisions || !sought.IsEmpty ? AbsenceProvesNothing : LookAgain);
        if ((isInHaste && !_isLookInHaste) || ((isInHaste || isDue) && (now - _lookAskedAt).Duration() >= AskAgain * Math.Pow(2, Math.Min(_looks, 5))))
        {
            (_subnetsSought, _isLookInHaste) = (sought, isInHaste || _looks >= RoutineLooks);
            (_lookAskedAt, _oldestAskAt, _looks) = (now, _oldestAskAt ?? now, _looks + 1);
            var vpc = grains.GetGrain<IVpcGrain>(settings.VpcId);
            (_isLookInHaste ? vpc.DescribeMeAsync(InstanceId, _doc.Change) : vpc.LookAtMeOfEachBuildAsync(InstanceId, _doc.Change)).Ignore();
        }
    }

    /// <summary>The first look: what the interfaces that we manage hold is ours from now on, but what another node of ours still holds. When the store
    /// was older than the node, only what the executor has in its lease is: of all else nobody knows what was under way, so that goes back.</summary>
    private async Task AdoptAsync(InstanceView view, Ec2Instance instance)
    {
        if (_report is not { } report)
        {
            return; // An instance that has ended before its executor was heard: what is in the lease is not known, and must not be returned.
        }

        var interfaces = OursIn(view);
        if (view.Limits is not { } limits || !interfaces.Any(eni => eni.DeviceIndex == 0))
        {
            Trouble(new Reason(ReasonCode.NodeStarting, $"{InstanceId}: EC2 shows no primary interface yet."));
            return;
        }

        var isOlder = _doc.LeaseVersion > 0;
        var others = isOlder ? [.. NotIn(Kept(report), interfaces)] : await HeldByOthersAsync(interfaces);
        if (_lost || !_doc.Interfaces.IsEmpty || !ReferenceEquals(_report, report))
        {
            return; // Another look has come first, or a report.
        }

        (_trouble, _looks) = (null, 0);
        interfaces = WithNotShown(interfaces, report, _doc.LeaseVersion + 1);
        foreach (var eni in interfaces.Where(eni => isOlder && !report.InterfacesSetUp.Contains(eni.EniId)))
        {
            _restsUntil[eni.EniId] = time.GetUtcNow() + DrawsRest; // A detach that is lost may yet come to effect.
        }

        var next = _doc with
        {
            InstanceType = instance.InstanceType, Zone = instance.Zone, AddressesPerInterface = limits.AddressesPerInterface, MaxInterfaces = limits.MaxInterfaces,
            TakesPrefixes = limits.TakesPrefixes, LimitsNote = view.LimitsNote, Siblings = SiblingsIn(view, interfaces), HomeRole = HomeRoleIn(view, interfaces),
            ForeignDevices = [.. view.Interfaces.Where(eni => eni.Attachment is { NetworkCard: 0 } && !interfaces.Any(ours => ours.EniId == eni.EniId)).Select(eni => eni.Attachment!.DeviceIndex)],
            Interfaces = interfaces, LeaseVersion = _doc.LeaseVersion + 1,
        };
        if (await StoreAsync(interfaces.Aggregate(next, (document, eni) => WithReturn(document, eni, others))))
        {
            LogJoined(InstanceId, instance.InstanceType, instance.Zone, interfaces.Sum(eni => eni.Addresses.Length));
            Hint();
        }
    }

    private ImmutableArray<EniDocument> OursIn(InstanceView view) =>
        [.. from eni in view.Interfaces
            where IsOurs(eni)
            let subnet = view.Subnets.FirstOrDefault(subnet => subnet.SubnetId == eni.SubnetId)
            where subnet is not null
            orderby eni.Attachment!.DeviceIndex
            select new EniDocument
            {
                EniId = eni.EniId, Mac = eni.Mac, DeviceIndex = eni.Attachment!.DeviceIndex, NetworkCard = eni.Attachment.NetworkCard,
                SubnetId = eni.SubnetId, SubnetCidr = subnet.Cidr, PrimaryAddress = eni.Addresses[0],
                AttachmentId = eni.Attachment.AttachmentId, Groups = eni.Groups, IsPinned = eni.Type != PlainType, IsMade = IsMade(eni),
                Blocks = [.. eni.Held.Order().Select(block => new HeldBlock(block))],
            }];

    /// <summary>What EC2 has given, hands may have taken from another node of ours while a pod of it goes on using it: those blocks are never leased
    /// here. The ledger has the rest as this node's from then on. What this node's executor has in its lease stays its own, whatever the ledger says.</summary>
    private async Task<ImmutableHashSet<Block>> HeldByOthersAsync(IEnumerable<EniDocument> interfaces)
    {
        var kept = _report is { } report ? Kept(report) : [];
        var others = ImmutableHashSet<Block>.Empty;
        foreach (var subnet in interfaces.GroupBy(eni => eni.SubnetId, StringComparer.Ordinal))
        {
            var given = NotIn(kept, subnet);
            if (given.IsEmpty)
            {
                continue;
            }

            try
            {
                others = others.Union(await grains.GetGrain<ISubnetGrain>(subnet.Key).TakeOverOfEachBuildAsync(InstanceId, _doc.Change, given));
            }
            catch (Exception e) when (_doc.Interfaces.IsEmpty)
            {
                Trouble(new Reason(ReasonCode.NodeStarting, $"{InstanceId}: {e.Message}")); // Nobody waits for the answer to a look.
                throw;
            }
        }

        return others;
    }

    /// <summary>Where somebody else provisions, what a look shows on interfaces that we manage is taken in: blocks, and interfaces as a
    /// whole. What another node of ours still holds, or this one on another interface, is, once it has been let go.</summary>
    private async Task AbsorbAsync(InstanceView view)
    {
        // An address may be shown in a prefix that has come since: what overlaps with anything of ours is not new.
        Block[] known = [.. _doc.Intents.SelectMany(intent => intent.Names), .. Gone(_doc, time.GetUtcNow()).Select(gone => gone.Block)];
        bool IsNew(EniDocument eni, HeldBlock held) => !_doc.Holds(held.Block) && !_doc.Intents.Any(intent => IsOf(intent, eni.EniId, held.Block))
            && !known.Any(held.Block.Overlaps);
        bool IsOnItsWay(EniDocument eni) => _doc.Intents.Any(intent => intent.EniId == eni.EniId && intent.Kind is IntentKind.AddInterface or IntentKind.RemoveInterface);
        ImmutableArray<EniDocument> NewBut(ImmutableHashSet<Block> others)
        {
            bool IsFree(EniDocument eni, HeldBlock held) => IsNew(eni, held) && !others.Contains(held.Block);
            return [.. from eni in OursIn(view)
                where !IsOnItsWay(eni)
                let free = eni with { Blocks = [.. eni.Blocks.Where(held => IsFree(eni, held))] }
                where _doc.Eni(eni.EniId) is null ? free.Blocks.Length == eni.Blocks.Length : !free.Blocks.IsEmpty
                select free];
        }

        var (change, found) = (_doc.Change, NewBut([]));
        found = NewBut(await HeldByOthersAsync(found));
        if (_lost || change != _doc.Change || found.IsEmpty)
        {
            return; // The next look shows it again.
        }

        var next = found.Aggregate(_doc, (document, eni) => document.Eni(eni.EniId) is { } known
            ? document.WithEni(known with { Blocks = [.. known.Blocks.Concat(eni.Blocks).OrderBy(held => held.Block)] })
            : document with
            {
                Interfaces = [.. document.Interfaces.Append(eni).OrderBy(one => one.DeviceIndex)],
                ForeignDevices = document.ForeignDevices.Remove(eni.DeviceIndex),
            });
        // A store that went back may have what made such an interface as not begun yet: sent again it would be answered with that one (simulation, seed 1703).
        var made = view.Interfaces.Where(eni => found.Any(one => one.EniId == eni.EniId)).Select(eni => eni.Tags.GetValueOrDefault(IntentTag)).ToHashSet();
        next = next with { Intents = next.Intents.RemoveAll(intent => intent is { Kind: IntentKind.AddInterface, EniId: "" } && made.Contains(intent.Id)) };
        if (await StoreAsync(next with { LeaseVersion = next.LeaseVersion + 1 }))
        {
            LogAbsorbed(InstanceId, found.Sum(eni => eni.Addresses.Length));
            Hint();
        }
    }

    /// <summary>The primary interface always; of the others on the default card those that our tags name, and those that nobody's do.</summary>
    private bool IsOurs(Ec2Interface eni) => eni.Attachment is { NetworkCard: 0 } attachment && (attachment.DeviceIndex == 0 ||
        (eni.Type is PlainType or "efa" && eni.Tags.GetValueOrDefault(NoManageTag) != "true" && (eni.Tags.GetValueOrDefault(ClusterTag) is { } cluster
            ? cluster == settings.ClusterName
            : Policy.ManageUntagged || eni.Tags.GetValueOrDefault(NodeTag) == InstanceId)));

    /// <summary>Whether this node has made it, and nobody has told us since that it is theirs.</summary>
    private bool IsMade(Ec2Interface eni) => IsOurs(eni) && eni.Tags.GetValueOrDefault(IntentTag)?.StartsWith(InstanceId + "/", StringComparison.Ordinal) == true;

    private static bool IsHome(Ec2Subnet subnet, IEnumerable<EniDocument> interfaces) => interfaces.Any(eni => eni.DeviceIndex == 0 && eni.SubnetId == subnet.SubnetId);

    private ImmutableArray<SiblingSubnet> SiblingsIn(InstanceView view, IEnumerable<EniDocument> interfaces) =>
        [.. view.Subnets.Where(subnet => !IsHome(subnet, interfaces) && subnet.Zone == view.Instance?.Zone
                && (RoleOf(subnet) != SubnetRole.Unmarked || Policy.Subnets.Contains(subnet.SubnetId) || view.Interfaces.Any(eni => eni.SubnetId == subnet.SubnetId)))
            .OrderBy(subnet => subnet.SubnetId, StringComparer.Ordinal)
            .Select(subnet => new SiblingSubnet(subnet.SubnetId, subnet.Cidr, RoleOf(subnet)))];

    private SubnetRole HomeRoleIn(InstanceView view, IEnumerable<EniDocument> interfaces) => view.Subnets.Where(subnet => IsHome(subnet, interfaces)).Select(RoleOf).FirstOrDefault();

    private SubnetRole RoleOf(Ec2Subnet subnet) => SubnetRoles.Of(subnet.Tags, settings.ClusterName);

    /// <summary>What EC2 shows of our interfaces against the document: draws that came late, and what someone else took or put back.</summary>
    private async Task CompareAsync(InstanceView view)
    {
        var now = time.GetUtcNow();
        var shown = view.Interfaces.Where(IsOurs).ToDictionary(eni => eni.EniId, eni => eni.Held.Append(new Block(eni.Addresses[0])).ToHashSet(), StringComparer.Ordinal);
        bool IsShown(string eniId, Block block) => shown.TryGetValue(eniId, out var blocks) && blocks.Contains(block);
        var made = view.Interfaces.ToDictionary(eni => eni.EniId, IsMade, StringComparer.Ordinal);
        var others = await HeldByOthersAsync(Late(_doc, IsShown, now)); // Another node may have drawn it since, and hands have moved it back here.
        if (_lost)
        {
            return;
        }

        var next = WithLost(WithLate(WithGroups(WithNeighbours(_doc, view), view), [.. Late(_doc, IsShown, now).Select(eni => eni with { Blocks = eni.Blocks.RemoveAll(held => others.Contains(held.Block)) })]), IsShown, made, now);
        if (next == _doc)
        {
            return;
        }

        var late = next.Interfaces.Sum(eni => eni.Blocks.Length) - _doc.Interfaces.Sum(eni => eni.Blocks.Length);
        var lost = Lost(next).Except(Lost(_doc)).ToArray();
        if (await StoreAsync(next with { LeaseVersion = next.LeaseVersion + 1 }))
        {
            if (late > 0)
            {
                LogCameLate(InstanceId, late);
            }

            if (lost.Length > 0)
            {
                PodName[] pods = [.. lost.SelectMany(block => block.Addresses).Select(PodOn).OfType<PodName>()];
                LogTaken(InstanceId, string.Join(' ', lost), pods is [] ? "none" : string.Join<PodName>(' ', pods));
            }

            Hint();
        }
    }

    /// <summary>What hands have put on interfaces of ours: a draw by count must not take it for its own later.</summary>
    private void NoteOthersOn(InstanceView view)
    {
        var gone = Gone(_doc, time.GetUtcNow()).ToArray();
        _notOurs = (from eni in view.Interfaces
            from block in eni.Held
            where !_doc.Holds(block) && !_doc.Intents.Any(intent => IsOf(intent, eni.EniId, block)) && !gone.Any(one => one.EniId == eni.EniId && one.Block == block)
            select (eni.EniId, block)).ToLookup(one => one.EniId, one => one.block, StringComparer.Ordinal);
    }

    /// <summary>What is not ours and may change: where else the node may get interfaces, and the places that others have taken on it.</summary>
    private NodeDocument WithNeighbours(NodeDocument document, InstanceView view)
    {
        var areListed = view.Subnets.Any(subnet => IsHome(subnet, document.Interfaces)); // Else what their tags said holds on.
        var listed = SiblingsIn(view, document.Interfaces);
        ImmutableArray<SiblingSubnet> siblings = [.. listed, .. document.Siblings.Where(one => !listed.Any(other => other.SubnetId == one.SubnetId) && document.Intents.Any(intent => intent.SubnetId == one.SubnetId))];
        var foreign = ForeignIn(view, document);
        return document with
        {
            Siblings = !areListed || siblings.SequenceEqual(document.Siblings) ? document.Siblings : siblings,
            HomeRole = areListed ? HomeRoleIn(view, document.Interfaces) : document.HomeRole,
            ForeignDevices = foreign.SequenceEqual(document.ForeignDevices) ? document.ForeignDevices : foreign,
        };
    }

    /// <summary>Device indexes of interfaces on the default card that are neither ours nor becoming it.</summary>
    private static ImmutableArray<int> ForeignIn(InstanceView view, NodeDocument document) =>
        [.. from eni in view.Interfaces
            where eni.Attachment is { NetworkCard: 0 } && document.Eni(eni.EniId) is null && !document.Intents.Any(intent => intent.EniId == eni.EniId)
            orderby eni.Attachment!.DeviceIndex
            select eni.Attachment!.DeviceIndex];

    /// <summary>Whether a block that EC2 shows there may be of this intent: an open counted draw has no names yet, so that whatever comes may be its own.</summary>
    private static bool IsOf(Intent intent, string eniId, Block block) => intent.Names.Contains(block) || (intent.Kind == IntentKind.DrawCounted && intent.EniId == eniId);

    /// <summary>A draw whose answer was lost can happen after its addresses were found, taken and returned. Only what an intent of ours named
    /// not long ago can have come so; what hands have added stays theirs.</summary>
    /// <returns>The interfaces that have such blocks, with just these.</returns>
    private ImmutableArray<EniDocument> Late(NodeDocument document, Func<string, Block, bool> isShown, DateTimeOffset now) =>
        [.. from eni in document.Interfaces
            let late = Gone(document, now).Where(gone => gone.EniId == eni.EniId && now - gone.At >= AbsenceProvesNothing && isShown(gone.EniId, gone.Block)
                && !document.Holds(gone.Block) && !document.Intents.Any(intent => IsOf(intent, gone.EniId, gone.Block))).Select(gone => gone.Block).Distinct().ToArray()
            where late.Length > 0
            select eni with { Blocks = [.. late.Select(block => new HeldBlock(block))] }];

    private static NodeDocument WithLate(NodeDocument document, ImmutableArray<EniDocument> late) => late.Aggregate(document, (next, eni) =>
    {
        var blocks = eni.Blocks.Select(held => held.Block).ToImmutableArray();
        return blocks.IsEmpty ? next : (next with { Departed = next.Departed.RemoveAll(gone => gone.EniId == eni.EniId && blocks.Contains(gone.Block)) }).WithEni(Drawn(next.Eni(eni.EniId)!, blocks));
    });

    /// <summary>What two looks a minute apart do not show as ours was taken by someone else: no pod gets it any more, and it goes once no pod has it.
    /// So does an interface whose tags, or the policy, say by now that it is not ours.</summary>
    /// <param name="made">Of the interfaces that are shown, whether we have made them. One that is not shown is what it was.</param>
    private NodeDocument WithLost(NodeDocument document, Func<string, Block, bool> isShown, Dictionary<string, bool> made, DateTimeOffset now)
    {
        var missing = (from eni in document.Interfaces from block in eni.Blocks.Select(held => held.Block).Append(new Block(eni.PrimaryAddress)) where !isShown(eni.EniId, block) select block).ToHashSet();
        foreach (var block in missing.Where(block => !_missing.ContainsKey(block)))
        {
            _missing[block] = now;
        }

        foreach (var block in _missing.Keys.Where(block => !missing.Contains(block)).ToArray())
        {
            _missing.Remove(block);
        }

        bool IsLost(Block block) => _missing.TryGetValue(block, out var since) && now - since >= AbsenceProvesNothing;
        HeldBlock Seen(HeldBlock held) => (held.IsLost, IsLost(held.Block)) switch
        {
            (false, true) => held with { IsLost = true, AskedBackAt = held.AskedBackAt ?? document.LeaseVersion + 1 },
            (true, false) when !missing.Contains(held.Block) => new HeldBlock(held.Block),
            _ => held,
        };
        return document.Interfaces.Aggregate(document, (next, eni) =>
        {
            var own = new Block(eni.PrimaryAddress);
            var seen = eni with
            {
                IsLost = IsLost(own) || (eni.IsLost && missing.Contains(own)), IsMade = made.GetValueOrDefault(eni.EniId, eni.IsMade), Blocks = [.. eni.Blocks.Select(Seen)],
            };
            return seen.IsLost == eni.IsLost && seen.IsMade == eni.IsMade && seen.Blocks.SequenceEqual(eni.Blocks) ? next : next.WithEni(seen);
        });
    }

    private static IEnumerable<Block> Lost(NodeDocument document) => document.Interfaces.SelectMany(eni => eni.Blocks).Where(held => held.IsLost).Select(held => held.Block);

    private PodName? PodOn(Ip address) => _use.ClaimOf(address)?.Pod ?? (_use.RowAt(address) is { Released: null } row ? row.Pod : null);
}
