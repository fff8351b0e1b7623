using System.Collections.Immutable;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Ec2Quota;

namespace AwsVpcCni.Grains.Node;

/// <content>Security groups of the interfaces that the node has made: those of custom networking, else those of its primary interface; followed when they change.</content>
public sealed partial class NodeGrain
{
    private static readonly TimeSpan GroupsAgain = TimeSpan.FromSeconds(10); // After a failure; twice as long each time.
    private static readonly TimeSpan LongestGroupsAgain = TimeSpan.FromMinutes(2); // What is further ahead is taken for a clock that jumped (IsAhead).

    private DateTimeOffset _groupsNotBefore = DateTimeOffset.MinValue;
    private TimeSpan _groupsWait = GroupsAgain;
    private bool _followsGroups;

    private ImmutableArray<string> GroupsWanted(NodeDocument document) =>
        Policy is { CustomNetworking: true, SecurityGroups: { IsEmpty: false } own } ? own : document.Interfaces.First(eni => eni.DeviceIndex == 0).Groups;

    private ImmutableArray<string> GroupsOf(Intent intent) => intent.Groups.IsEmpty ? _doc.Interfaces.First(eni => eni.DeviceIndex == 0).Groups : intent.Groups;

    private void FollowGroups()
    {
        var now = time.GetUtcNow();
        if (_lost || _isEnded || IsHeld || _followsGroups || !Policy.Provisions || !_doc.Interfaces.Any(eni => eni.DeviceIndex == 0) || IsAhead(_groupsNotBefore, now))
        {
            return;
        }

        if (IsNetworkUnknown)
        {
            return; // No ENIConfig, or one of another zone: what there is serves on, with the groups that it has.
        }

        var wanted = GroupsWanted(_doc);
        if (!wanted.IsEmpty && _doc.Interfaces.FirstOrDefault(eni => eni is { IsMade: true, IsLost: false, DeviceIndex: not 0 } && ModeOf(eni.SubnetId) != SwitchMode.Frozen && !AreSame(eni.Groups, wanted)) is { } other)
        {
            _followsGroups = true;
            SetGroupsAsync(other, wanted).Ignore();
        }
    }

    private async Task SetGroupsAsync(EniDocument eni, ImmutableArray<string> groups)
    {
        try
        {
            var quota = grains.GetGrain<IEc2QuotaGrain>(settings.QuotaKey);
            var permit = await quota.TakeAsync(Ec2Action.ModifyNetworkInterfaceAttribute, CallPriority.WarmPool, InstanceId + "/groups", InstanceId, eni.SubnetId);
            if (permit is not { } wait || wait > TimeSpan.Zero)
            {
                _groupsNotBefore = time.GetUtcNow() + (permit is { } turn ? CallQueue.AskAgain(turn) : AskAgain);
                return;
            }

            using var deadline = new CancellationTokenSource(settings.Timing.Ec2Call, time);
            await ec2.SetGroupsAsync(eni.EniId, groups, deadline.Token);
            _groupsWait = GroupsAgain;
            if (_doc.Eni(eni.EniId) is { } now && await StoreAsync(_doc.WithEni(now with { Groups = groups })))
            {
                LogGroups(InstanceId, eni.EniId, string.Join(' ', groups));
                Kick(); // Another may lack them.
            }
        }
        catch (Exception e) when (!_lost)
        {
            if (e is Ec2Exception { Fault: Ec2Fault.Throttled })
            {
                grains.GetGrain<IEc2QuotaGrain>(settings.QuotaKey).ThrottledAsync(Ec2Action.ModifyNetworkInterfaceAttribute).Ignore();
            }

            var pause = _groupsWait;
            (_groupsNotBefore, _groupsWait) = (time.GetUtcNow() + _groupsWait, _groupsWait * 2 < LongestGroupsAgain ? _groupsWait * 2 : LongestGroupsAgain);
            LogGroupsNotSet(InstanceId, eni.EniId, string.Join(' ', groups), pause, e is Ec2Exception refusal ? Ec2Reason.Of($"{eni.EniId}: its security groups", Ec2Action.ModifyNetworkInterfaceAttribute, refusal).Text : e.GetBaseException().Message);
        }
        finally
        {
            _followsGroups = false;
        }
    }

    /// <summary>With the groups that a look shows of our interfaces: hands, or the account's tools, change those of a primary one.</summary>
    private static NodeDocument WithGroups(NodeDocument document, InstanceView view) => view.Interfaces.Aggregate(document, (next, shown) =>
        next.Eni(shown.EniId) is { } eni && !AreSame(eni.Groups, shown.Groups) ? next.WithEni(eni with { Groups = shown.Groups }) : next);

    private static bool AreSame(ImmutableArray<string> groups, ImmutableArray<string> others) => groups.Length == others.Length && groups.Order(StringComparer.Ordinal).SequenceEqual(others.Order(StringComparer.Ordinal));
}
