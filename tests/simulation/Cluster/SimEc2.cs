using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Tests.Cluster.Grains;
using AwsVpcCni.Tests.Simulation.Checkers;
using AwsVpcCni.Tests.Simulation.Faults;
using AwsVpcCni.Tests.Simulation.Scheduling;
using AwsVpcCni.VpcEmulator.Model;
using Ec2Exception = AwsVpcCni.Grains.Ec2.Ec2Exception;

namespace AwsVpcCni.Tests.Simulation.Cluster;

/// <summary>EC2 at a distance: latency, throttling, errors before and after the effect, silence, effects and answers that come late.</summary>
/// <param name="invariants">Looks at what each effect on an interface or attachment changes.</param>
/// <param name="latencyOf">What a call takes when nothing is wrong; half of it passes before the effect. Null: drawn for each.</param>
internal sealed class SimEc2(Scheduler scheduler, Swarm faults, ModelEc2 model, Rival rival, Invariants invariants, Func<Ec2Action, TimeSpan>? latencyOf = null) : IEc2
{
    private const string ByCount = "by count";

    /// <summary>Null: no call is refused for its rate but by a fault.</summary>
    public Throttle? Throttle { get; init; }

    /// <summary>Told of each call before it is sent: the action, what it is about, and the subnet where that is nothing yet.</summary>
    public required Action<Ec2Action, string, string?> Begins { get; init; }

    /// <summary>Told when its bucket refuses a call.</summary>
    public Action? Throttled { get; init; }

    /// <summary>Told of each interface that is about to be deleted.</summary>
    public Action<string> Deleting { get; init; } = _ => { };

    public Task<ImmutableArray<Ec2Instance>> DescribeInstancesAsync(ImmutableArray<string> instanceIds, CancellationToken cancellation) =>
        CallAsync(Ec2Action.DescribeInstances, "", () => model.DescribeInstancesAsync(instanceIds, default), cancellation);

    public Task<Ec2Page> DescribeInterfacesAsync(Ec2InterfaceQuery query, string? nextToken, CancellationToken cancellation) =>
        CallAsync(Ec2Action.DescribeNetworkInterfaces, "", () => model.DescribeInterfacesAsync(query, nextToken, default), cancellation);

    public Task<ImmutableArray<Ec2Subnet>> DescribeSubnetsAsync(string vpcId, CancellationToken cancellation) =>
        CallAsync(Ec2Action.DescribeSubnets, "", () => model.DescribeSubnetsAsync(vpcId, default), cancellation);

    public Task<ImmutableArray<ReservedRange>> GetReservationsAsync(string subnetId, CancellationToken cancellation) =>
        CallAsync(Ec2Action.GetSubnetCidrReservations, "", () => model.GetReservationsAsync(subnetId, default), cancellation);

    public Task<Ec2Types> DescribeInstanceTypesAsync(ImmutableArray<string> instanceTypes, string? nextToken, CancellationToken cancellation) =>
        CallAsync(Ec2Action.DescribeInstanceTypes, "", () => model.DescribeInstanceTypesAsync(instanceTypes, nextToken, default), cancellation);

    public Task AssignAsync(string eniId, ImmutableArray<Block> addresses, CancellationToken cancellation) =>
        CallAsync(Ec2Action.AssignPrivateIpAddresses, eniId, () =>
        {
            rival.Before(addresses);
            return Done(model.AssignAsync(eniId, addresses, default));
        }, cancellation, Names(addresses));

    public Task<ImmutableArray<Block>> AssignCountedAsync(string eniId, int count, bool prefixes, CancellationToken cancellation) =>
        CallAsync(Ec2Action.AssignPrivateIpAddresses, eniId, async () =>
        {
            var drawn = await model.AssignCountedAsync(eniId, count, prefixes, default);
            invariants.DrawnByCount(eniId, drawn);
            return drawn;
        }, cancellation, ByCount);

    public Task UnassignAsync(string eniId, ImmutableArray<Block> addresses, CancellationToken cancellation) =>
        CallAsync(Ec2Action.UnassignPrivateIpAddresses, eniId, () => Done(model.UnassignAsync(eniId, addresses, default)), cancellation, Names(addresses));

    public Task<Ec2Interface> CreateInterfaceAsync(Ec2NewInterface wanted, CancellationToken cancellation) =>
        CallAsync(Ec2Action.CreateNetworkInterface, "", () => model.CreateInterfaceAsync(wanted, default), cancellation, subnetId: wanted.SubnetId);

    public Task<string> AttachAsync(string eniId, string instanceId, int deviceIndex, int networkCard, CancellationToken cancellation) =>
        CallAsync(Ec2Action.AttachNetworkInterface, eniId, () => model.AttachAsync(eniId, instanceId, deviceIndex, networkCard, default), cancellation);

    public Task SetGroupsAsync(string eniId, ImmutableArray<string> groups, CancellationToken cancellation) =>
        CallAsync(Ec2Action.ModifyNetworkInterfaceAttribute, eniId, () => Done(model.SetGroupsAsync(eniId, groups, default)), cancellation);

    public Task SetDeleteOnTerminationAsync(string eniId, string attachmentId, CancellationToken cancellation) =>
        CallAsync(Ec2Action.ModifyNetworkInterfaceAttribute, eniId, () => Done(model.SetDeleteOnTerminationAsync(eniId, attachmentId, default)), cancellation);

    public Task DetachAsync(string attachmentId, CancellationToken cancellation) =>
        CallAsync(Ec2Action.DetachNetworkInterface, attachmentId, () => Done(model.DetachAsync(attachmentId, default)), cancellation);

    public Task DeleteInterfaceAsync(string eniId, CancellationToken cancellation)
    {
        Deleting(eniId);
        return CallAsync(Ec2Action.DeleteNetworkInterface, eniId, () => Done(model.DeleteInterfaceAsync(eniId, default)), cancellation);
    }

    /// <summary>The model is done when it returns: it has no thread.</summary>
    private static async Task<bool> Done(Task done)
    {
        await done;
        return true;
    }

    private string Names(ImmutableArray<Block> blocks) => scheduler.Trace is null ? "" : string.Join(' ', blocks);

    private Task<T> CallAsync<T>(Ec2Action action, string target, Func<Task<T>> effect, CancellationToken cancellation, string what = "", string? subnetId = null)
    {
        Begins(action, target, subnetId);
        var (before, after) = latencyOf?.Invoke(action) is { } latency ? (latency / 2, latency / 2) : (scheduler.Between(TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(300)), scheduler.Between(TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(100)));
        var times = action switch // So much likelier, where calls are rare.
        {
            Ec2Action.DetachNetworkInterface => 16,
            Ec2Action.AssignPrivateIpAddresses when what == ByCount => 8,
            Ec2Action.DeleteNetworkInterface or Ec2Action.DescribeInstanceTypes or Ec2Action.GetSubnetCidrReservations => 8,
            Ec2Action.UnassignPrivateIpAddresses or Ec2Action.AttachNetworkInterface => 4,
            Ec2Action.CreateNetworkInterface or Ec2Action.ModifyNetworkInterfaceAttribute or Ec2Action.DescribeSubnets => 2,
            _ => 1,
        };
        var fate = Strikes(FaultKind.Throttled, action, times) ? new CallFate(before, after, new Ec2Exception(Ec2Fault.Throttled, "RequestLimitExceeded", $"{action}: request limit exceeded"))
            : Strikes(FaultKind.NotAuthorized, action, times) ? new CallFate(before, after, new Ec2Exception(Ec2Fault.NotAuthorized, "UnauthorizedOperation", $"{action}: not authorized"))
            : action is Ec2Action.AssignPrivateIpAddresses or Ec2Action.CreateNetworkInterface && Strikes(FaultKind.Ec2NoRoom, action, action == Ec2Action.AssignPrivateIpAddresses && rival.IsBusy ? 16 : times)
                ? new CallFate(before, after, new Ec2Exception(Ec2Fault.NoRoom, "InsufficientFreeAddressesInSubnet", $"{action}: the subnet has not enough free addresses"))
            : action is Ec2Action.AssignPrivateIpAddresses or Ec2Action.AttachNetworkInterface && Strikes(FaultKind.Ec2Limit, action, times)
                ? new CallFate(before, after, new Ec2Exception(Ec2Fault.LimitExceeded, "LimitExceeded", $"{action}: more than the limit"))
            : action >= Ec2Action.AssignPrivateIpAddresses && target.Length > 0 && faults.Refuses(action, target, action == Ec2Action.AttachNetworkInterface ? 12 : times) ? new CallFate(before, after, new Ec2Exception(Ec2Fault.Refused, "IncorrectState", $"{action}: refused"))
            : Strikes(FaultKind.Ec2ErrorBefore, action, times) ? new CallFate(before, after, Unknown(action))
            : Strikes(FaultKind.Ec2ErrorAfter, action, times) ? new CallFate(before, after, null, Unknown(action))
            : Strikes(FaultKind.Ec2Silent, action, times) ? new CallFate(before, null)
            : Strikes(FaultKind.Ec2Late, action, times) ? Late(before, after)
            : new CallFate(before, after);
        return scheduler.CallAsync($"{action} {target} {what}", fate, () =>
        {
            T answer = default!;
            TakeToken(action);
            invariants.OnEc2(action, target, () => answer = effect().GetAwaiter().GetResult());
            return answer;
        }, cancellation);
    }

    private void TakeToken(Ec2Action action)
    {
        try
        {
            Throttle?.Take(action.ToString(), filtered: true);
        }
        catch (VpcEmulator.Model.Ec2Exception refusal)
        {
            Throttled?.Invoke();
            throw new Ec2Exception(Ec2Fault.Throttled, refusal.Code, $"{action}: {refusal.Message}");
        }
    }

    private bool Strikes(FaultKind kind, Ec2Action action, int times)
    {
        var strikes = faults.Strikes(kind, times);
        if (strikes)
        {
            faults.OnEc2[(kind, action)] = faults.OnEc2.GetValueOrDefault((kind, action)) + 1;
        }

        return strikes;
    }

    /// <summary>Either the effect comes late, or only the answer: what a look has read is old by then.</summary>
    private CallFate Late(TimeSpan before, TimeSpan after)
    {
        var late = scheduler.Between(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(25));
        return scheduler.Random.Next(2) == 0 ? new CallFate(late, after) : new CallFate(before, late);
    }

    private static Ec2Exception Unknown(Ec2Action action) => new(Ec2Fault.EffectUnknown, "", $"{action}: the connection was cut");
}
