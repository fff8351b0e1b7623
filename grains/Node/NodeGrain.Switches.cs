using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;

namespace AwsVpcCni.Grains.Node;

/// <content>What operators let the node change in EC2 (ADR 0018). A node that has not been heard is as a frozen one (ADR 0010).</content>
public sealed partial class NodeGrain
{
    private SwitchMode ModeOf(string subnetId) => IsHeld ? SwitchMode.Frozen : settings.ModeOf(InstanceId, subnetId);

    /// <summary>Whether addresses and interfaces there may be given back: by the policy, and by the operators.</summary>
    private bool MayTake(string subnetId) => Policy.Provisions && ModeOf(subnetId) == SwitchMode.Normal;

    /// <summary>What is stored waits, as it is; also what takes away, since its addresses are in nobody's lease: no pod is hurt by the waiting.</summary>
    private bool IsStopped(Intent intent) => !OperatorSwitches.Permits(ModeOf(intent.SubnetId), ActionOf(intent));

    /// <summary>Operators let nothing be drawn, wherever the node has room; null when that is not so.</summary>
    private Reason? WhyFrozen(NodeState state, int cooling, TimeSpan firstFor)
    {
        var places = state.Enis.Where(eni => eni.ForPods && eni.EniId.Length > 0 && eni.Room > 0).Select(eni => eni.Subnet).Concat(state.NewInterfaces > 0 ? state.NewIn : []);
        var stopped = _doc.Intents.Where(intent => intent.Drawing > 0).ToArray();
        return places.Any(subnet => subnet.Mode != SwitchMode.Frozen) || stopped.Any(intent => !IsStopped(intent))
            || (places.Select(subnet => subnet.SubnetId).Concat(stopped.Select(intent => intent.SubnetId)).Select(id => settings.SwitchOf(InstanceId, id)).FirstOrDefault(one => one?.Mode == SwitchMode.Frozen) is not { } frozen)
            ? null
            : new Reason(ReasonCode.Frozen, $"{InstanceId}: no free address, {OnPodsNow()} are on pods, and none is drawn: {frozen}. `ipam normal` ends it." +
                (cooling > 0 ? $" Meanwhile {cooling} addresses cool down, the first for {Seconds(firstFor)} s more." : ""));
    }

    /// <summary>A subnet that lacks addresses gets none back, and places of what is to leave stay taken, while operators hold it.</summary>
    private Reason WithHold(Reason cause) =>
        (cause.Code is ReasonCode.SubnetEmpty or ReasonCode.SubnetScattered || _doc.Intents.Any(intent => intent.Drawing == 0 && IsStopped(intent)))
        && _doc.Interfaces.Select(eni => settings.SwitchOf(InstanceId, eni.SubnetId)).FirstOrDefault(one => one?.Mode == SwitchMode.Hold) is { } hold
            ? cause with { Text = $"{cause.Text} Nothing is given back meanwhile: {hold}. `ipam normal` ends it." }
            : cause;
}
