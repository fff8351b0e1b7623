using System.Collections.Immutable;
using System.Text.Json.Serialization;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Ec2Quota;

namespace AwsVpcCni.Core.Pool;

/// <summary>How much operators let be changed in EC2, the freest first.</summary>
[JsonConverter(typeof(CodeJson<SwitchMode>))]
public enum SwitchMode
{
    /// <summary>All that policy and pods want.</summary>
    Normal,

    /// <summary>Nothing is taken away: no address returned or asked back, no interface detached or deleted, no leak cleaned up.</summary>
    Hold,

    /// <summary>Nothing at all; EC2 is only read.</summary>
    Frozen,
}

/// <summary>What an operator has switched.</summary>
/// <param name="Target"><see cref="OperatorSwitches.All"/>, a node's instance id or a subnet's id.</param>
/// <param name="At">UTC, the silo's clock.</param>
public sealed record OperatorSwitch(string Target, SwitchMode Mode, string Who, string Why, DateTimeOffset At)
{
    /// <summary>For people.</summary>
    public override string ToString()
    {
        var what = Target == OperatorSwitches.All ? "the cluster" : Target;
        return $"{what} is {(Mode == SwitchMode.Hold ? "on hold" : Mode == SwitchMode.Frozen ? "frozen" : "normal")}, by {Who}{(At == default ? "" : $" at {At.UtcDateTime:yyyy-MM-ddTHH:mm:ssZ}")}: {Why}";
    }
}

/// <summary>Which switch holds, and what it leaves to be done. Pure.</summary>
public static class OperatorSwitches
{
    /// <summary>The target of a switch for every node and subnet.</summary>
    public const string All = "all";

    /// <summary>What holds at a silo that has not heard yet what operators have switched: it may be anything.</summary>
    public static readonly ImmutableArray<OperatorSwitch> NotRead =
        [new(All, SwitchMode.Frozen, "the silo itself", "it has just started, and has not read yet what operators have switched", default)];

    /// <summary>The strictest of those for all, for the node and for the subnet; of equal ones the widest. Null: nothing is switched off.</summary>
    /// <param name="instanceId">Null: of no node.</param>
    /// <param name="subnetId">Null: of no subnet.</param>
    public static OperatorSwitch? InForce(ImmutableArray<OperatorSwitch> switches, string? instanceId, string? subnetId)
    {
        OperatorSwitch? strictest = null;
        foreach (var one in switches)
        {
            if ((one.Target == All || one.Target == instanceId || one.Target == subnetId) && one.Mode != SwitchMode.Normal
                && (strictest is null || one.Mode > strictest.Mode || (one.Mode == strictest.Mode && one.Target == All)))
            {
                strictest = one;
            }
        }

        return strictest;
    }

    /// <summary>Whether a call changes something in EC2; the others read.</summary>
    public static bool IsChange(Ec2Action action) => action is Ec2Action.AssignPrivateIpAddresses or Ec2Action.UnassignPrivateIpAddresses or Ec2Action.CreateNetworkInterface
        or Ec2Action.AttachNetworkInterface or Ec2Action.ModifyNetworkInterfaceAttribute or Ec2Action.DetachNetworkInterface or Ec2Action.DeleteNetworkInterface;

    /// <summary>Whether a call may be made.</summary>
    public static bool Permits(SwitchMode mode, Ec2Action action) => !IsChange(action) || mode switch
    {
        SwitchMode.Normal => true,
        SwitchMode.Hold => action is not (Ec2Action.UnassignPrivateIpAddresses or Ec2Action.DetachNetworkInterface or Ec2Action.DeleteNetworkInterface),
        _ => false,
    };

    /// <summary>Of a plan what takes nothing away where operators hold it.</summary>
    internal static ImmutableArray<PoolAction> Left(ImmutableArray<PoolAction> plan, NodeState node)
    {
        if (node.Enis.All(eni => eni.Subnet.Mode == SwitchMode.Normal))
        {
            return plan;
        }

        var held = node.Enis.Where(eni => eni.Subnet.Mode != SwitchMode.Normal).ToArray();
        var blocks = held.SelectMany(eni => eni.Blocks.Select(block => block.Block).Concat(eni.Excluded)).ToHashSet();
        return
        [
            .. from action in plan
               let left = action is PoolAction.GiveUp giveUp ? new PoolAction.GiveUp([.. giveUp.Blocks.Where(block => !blocks.Contains(block))]) : action
               where left is not PoolAction.GiveUp { Blocks.IsEmpty: true } && !(left is PoolAction.RemoveInterface remove && held.Any(eni => eni.EniId == remove.EniId))
               select left,
        ];
    }
}
