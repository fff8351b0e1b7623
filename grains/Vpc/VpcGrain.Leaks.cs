using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Node;

namespace AwsVpcCni.Grains.Vpc;

/// <content>Interfaces that a node of ours has made and that are attached to nothing: each costs its addresses until somebody deletes it. Two sweeps find one, minutes apart.
/// The node's grain deletes it, if it is no part of what it has under way; of a node that is not in the register, this one does.</content>
public sealed partial class VpcGrain
{
    private const int MostDeletesASweep = 10; // Each may wait for the budget, and sweeps wait for it.

    private const int MostRefusedASweep = 3; // It is the permission, or EC2; or it is of one interface alone.

    private readonly Dictionary<string, DateTimeOffset> _looseSince = new(StringComparer.Ordinal);

    /// <summary>Made by a node of the cluster, by its tags, and attached to nothing. What hands want to keep has no_manage.</summary>
    public static bool IsLoose(Ec2Interface eni, string cluster) => eni is { Attachment: null, Status: "available" } && eni.Tags.GetValueOrDefault(NodeGrain.ClusterTag) == cluster
        && eni.Tags.ContainsKey(NodeGrain.NodeTag) && eni.Tags.ContainsKey(NodeGrain.IntentTag) && eni.Tags.GetValueOrDefault(NodeGrain.NoManageTag) != "true";

    /// <summary>By the policy, and by the operators.</summary>
    private bool MayDelete(Ec2Interface eni) => eni.Tags[NodeGrain.NodeTag] is var node && settings.PolicyOf(node).Provisions && settings.ModeOf(node, eni.SubnetId) == SwitchMode.Normal;

    /// <param name="isWhole">Of all zones: else one that is not among them may be in a zone that could not be read, and nobody knows more of it than before.</param>
    private async Task DeleteLeakedAsync(IReadOnlyCollection<Ec2Interface> swept, bool isWhole, CancellationToken cancellation)
    {
        var (now, loose) = (time.GetUtcNow(), swept.Where(eni => IsLoose(eni, settings.ClusterName)).OrderBy(eni => eni.EniId, StringComparer.Ordinal).ToArray());
        foreach (var gone in (isWhole ? _looseSince.Keys : swept.Select(eni => eni.EniId)).Except(loose.Select(eni => eni.EniId)).ToArray())
        {
            _looseSince.Remove(gone);
        }

        var leaked = loose.Where(eni => !_looseSince.TryAdd(eni.EniId, now) && (now - _looseSince[eni.EniId]).Duration() >= settings.Timing.LeakedAfter && MayDelete(eni))
            .ToLookup(eni => document.State.Nodes.Contains(eni.Tags[NodeGrain.NodeTag]));
        foreach (var eni in leaked[true])
        {
            grains.GetGrain<INodeGrain>(eni.Tags[NodeGrain.NodeTag]).LeakedAsync(eni).Ignore();
        }

        var (freed, refused) = (new HashSet<string>(StringComparer.Ordinal), 0);
        foreach (var eni in leaked[false].Take(MostDeletesASweep))
        {
            if (!await TryAsync(Work.Ledgers, () => DeleteAsync(eni, cancellation), cancellation))
            {
                _looseSince.Remove(eni.EniId); // In five minutes; the others come first then.
                if (++refused == MostRefusedASweep)
                {
                    break;
                }

                continue;
            }

            freed.Add(eni.SubnetId);
            await ReadDoubtfulSubnetsAsync(cancellation); // Pods may wait for them.
        }

        foreach (var subnet in freed)
        {
            await ReadSubnetAsync(subnet);
        }
    }

    private static Ec2Exception SwitchedOff(Ec2Interface eni) => new(Ec2Fault.Refused, "", $"{eni.EniId} is not deleted: operators have switched that off. Nothing was sent.") { Data = { [ActionKey] = Ec2Action.DeleteNetworkInterface } };

    private async Task DeleteAsync(Ec2Interface eni, CancellationToken cancellation)
    {
        try
        {
            await CallAsync(Ec2Action.DeleteNetworkInterface, CallPriority.CleanUp, async stop =>
            {
                if (!MayDelete(eni))
                {
                    throw SwitchedOff(eni); // Since the permit was asked for.
                }

                await ec2.DeleteInterfaceAsync(eni.EniId, stop);
                return true;
            }, cancellation, async () => await Quota.TakeAsync(Ec2Action.DeleteNetworkInterface, CallPriority.CleanUp, "", eni.Tags[NodeGrain.NodeTag], eni.SubnetId) ?? throw SwitchedOff(eni));
        }
        catch (Ec2Exception refusal) when (refusal.Fault == Ec2Fault.NotFound)
        {
            return; // Somebody was quicker, or an earlier answer was lost.
        }

        LogLeaked(VpcId, eni.EniId, eni.SubnetId, eni.Tags[NodeGrain.NodeTag]);
    }
}
