using System.Collections.Immutable;
using System.Net;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Instances;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Silo.Ec2;
using AwsVpcCni.VpcEmulator.Model;
using Ec2Exception = AwsVpcCni.Grains.Ec2.Ec2Exception;
using Refusal = AwsVpcCni.VpcEmulator.Model.Ec2Exception;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>EC2 as the emulator's model has it, in this process, with the refusals that a test asks for.</summary>
public sealed class ModelEc2(Vpc vpc) : IEc2
{
    private const int MostFilterValues = 200; // ec2.md section 4.
    private const int Servers = 3; // Which may lag behind, each in its own way.
    private readonly Lock _lock = new();
    private readonly List<string> _calls = [];
    private readonly Dictionary<string, Queue<(Ec2Exception Fault, bool AfterEffect)>> _faults = [];

    public IReadOnlyList<string> Calls
    {
        get
        {
            lock (_lock)
            {
                return [.. _calls];
            }
        }
    }

    /// <summary>The next call of this action is refused, after its effect or instead of it.</summary>
    public void Fail(string action, Ec2Fault fault, bool afterEffect = false, int times = 1)
    {
        lock (_lock)
        {
            _faults.TryAdd(action, []);
            for (var i = 0; i < times; i++)
            {
                _faults[action].Enqueue((new Ec2Exception(fault, fault.ToString(), $"{action} refused, as the test wished"), afterEffect));
            }
        }
    }

    /// <summary>Detaches are not answered until this ends.</summary>
    public Task DetachesHeld { get; set; } = Task.CompletedTask;

    /// <summary>Draws have their effect, and are not answered until this ends.</summary>
    public Task AssignsHeld { get; set; } = Task.CompletedTask;

    /// <summary>Awaited before interfaces are listed, with <c>DescribeNetworkInterfaces</c> and the zone, subnet or instances that are asked for; it may refuse.</summary>
    public Func<string, Task>? BeforeListing { get; set; }

    /// <summary>Instances are shown under this name of a type, newer than every table, with the limits of their own.</summary>
    public string? NewerType { get; set; }

    /// <summary>So many interfaces at most are in one answer, each page as it is at its own moment. Null: all.</summary>
    public int? PageSize { get; init; }

    /// <summary>An instance that DescribeInstances does not show.</summary>
    public string? Hides { get; set; }

    /// <summary>Someone else changes the VPC.</summary>
    public T ByHand<T>(Func<Vpc, T> change)
    {
        lock (_lock)
        {
            return change(vpc);
        }
    }

    public Task<ImmutableArray<Ec2Instance>> DescribeInstancesAsync(ImmutableArray<string> instanceIds, CancellationToken cancellation) =>
        Call($"DescribeInstances {string.Join(',', instanceIds)}", () => (ImmutableArray<Ec2Instance>)[.. vpc.Instances.Where(one => instanceIds.Contains(one.Id) && one.Id != Hides)
            .Select(one => one.State == InstanceState.Terminated // It has no place in the network any more.
                ? new Ec2Instance(one.Id, NewerType ?? one.Type.Type, "terminated", one.Subnet.Zone, "", "")
                : new Ec2Instance(one.Id, NewerType ?? one.Type.Type, one.State == InstanceState.ShuttingDown ? "shutting-down" : one.State.ToString().ToLowerInvariant(), one.Subnet.Zone, vpc.Id, one.Subnet.Id))]);

    public async Task<Ec2Page> DescribeInterfacesAsync(Ec2InterfaceQuery query, string? nextToken, CancellationToken cancellation)
    {
        var call = $"DescribeNetworkInterfaces {query.Zone}{query.SubnetId}{string.Join(',', query.InstanceIds)}";
        await (BeforeListing?.Invoke(call) ?? Task.CompletedTask);
        return await Call(call, () =>
        {
            if (query.InstanceIds.Length + 1 > MostFilterValues)
            {
                throw new Refusal("FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200."); // The VPC is one of them.
            }

            var page = vpc.EnisSeenBy($"server {_calls.Count % Servers}").Where(eni => (query.Zone is null || eni.Subnet.Zone == query.Zone) && (query.SubnetId is null || eni.Subnet.Id == query.SubnetId)
                && (query.InstanceIds.IsEmpty || (eni.Attachment is { } attachment && query.InstanceIds.Contains(attachment.Instance.Id)))).Select(Shown);
            if (PageSize is not { } size)
            {
                return new Ec2Page([.. page], null);
            }

            var rest = page.Where(eni => string.CompareOrdinal(eni.EniId, nextToken) > 0).OrderBy(eni => eni.EniId, StringComparer.Ordinal).ToImmutableArray();
            return rest.Length > size ? new Ec2Page(rest[..size], rest[size - 1].EniId) : new Ec2Page(rest, null);
        });
    }

    public Task<ImmutableArray<Ec2Subnet>> DescribeSubnetsAsync(string vpcId, CancellationToken cancellation) =>
        Call("DescribeSubnets", () => (ImmutableArray<Ec2Subnet>)[.. vpc.Subnets.Select(one =>
            new Ec2Subnet(one.Id, vpc.Id, one.Zone, Cidr.Parse(one.Cidr.ToString()), one.AvailableIpAddressCount, one.Tags.ToImmutableSortedDictionary(StringComparer.Ordinal)))]);

    public Task<ImmutableArray<ReservedRange>> GetReservationsAsync(string subnetId, CancellationToken cancellation) =>
        Call($"GetSubnetCidrReservations {subnetId}", () => (ImmutableArray<ReservedRange>)[.. vpc.GetSubnetCidrReservations(subnetId).Select(one => new ReservedRange(Cidr.Parse(one.Cidr.ToString()), one.Type == ReservationType.Prefix))]);

    public Task<Ec2Types> DescribeInstanceTypesAsync(ImmutableArray<string> instanceTypes, string? nextToken, CancellationToken cancellation) =>
        Call($"DescribeInstanceTypes {string.Join(',', instanceTypes)}", () => new Ec2Types([.. vpc.Instances.Select(one => one.Type).DistinctBy(type => type.Type)
            .Select(type => new InstanceLimits(NewerType ?? type.Type, type.Ipv4PerEni, type.Hypervisor, type.BareMetal, [.. type.Cards])).Where(type => instanceTypes.Contains(type.Type))], null));

    public async Task AssignAsync(string eniId, ImmutableArray<Block> blocks, CancellationToken cancellation)
    {
        await Call($"Assign {string.Join(',', blocks)}", () => blocks[0].IsPrefix
            ? vpc.AssignIpv4Prefixes(eniId, Prefixes(blocks)).Count
            : vpc.AssignPrivateIpAddresses(eniId, Singles(blocks), false).Count);
        await AssignsHeld.WaitAsync(cancellation);
    }

    public Task<ImmutableArray<Block>> AssignCountedAsync(string eniId, int count, bool prefixes, CancellationToken cancellation) =>
        Call($"AssignCounted {count}", () => (ImmutableArray<Block>)(prefixes
            ? [.. vpc.AssignIpv4Prefixes(eniId, count).Select(Prefix)]
            : [.. vpc.AssignPrivateIpAddresses(eniId, count).Select(one => new Block(Ip.From(one)))]));

    public Task UnassignAsync(string eniId, ImmutableArray<Block> blocks, CancellationToken cancellation) =>
        Call($"Unassign {string.Join(',', blocks)}", () =>
        {
            vpc.UnassignPrivateIpAddresses(eniId, Singles(blocks), Prefixes(blocks));
            return 0;
        });

    public Task<Ec2Interface> CreateInterfaceAsync(Ec2NewInterface wanted, CancellationToken cancellation) =>
        Call($"Create {string.Join(',', wanted.Blocks)}", () => Shown(vpc.CreateNetworkInterface(new CreateEni
        {
            SubnetId = wanted.SubnetId, Primary = wanted.Blocks[0].First.ToIPAddress(), Secondary = Singles(wanted.Blocks[1..]), Prefixes = Prefixes(wanted.Blocks),
            Groups = wanted.Groups, Tags = wanted.Tags, ClientToken = wanted.ClientToken,
        })));

    public Task<string> AttachAsync(string eniId, string instanceId, int deviceIndex, int networkCard, CancellationToken cancellation) =>
        Call($"Attach {eniId} {deviceIndex}", () => vpc.AttachNetworkInterface(eniId, instanceId, deviceIndex, networkCard).Id);

    public Task SetGroupsAsync(string eniId, ImmutableArray<string> groups, CancellationToken cancellation) => Done($"SetGroups {eniId}", () => vpc.ModifyGroups(eniId, groups));

    public Task SetDeleteOnTerminationAsync(string eniId, string attachmentId, CancellationToken cancellation) => Done($"Modify {eniId}", () => vpc.ModifyDeleteOnTermination(eniId, attachmentId, true));

    public async Task DetachAsync(string attachmentId, CancellationToken cancellation)
    {
        await Done($"Detach {attachmentId}", () => vpc.DetachNetworkInterface(attachmentId));
        await DetachesHeld.WaitAsync(cancellation);
    }

    public Task DeleteInterfaceAsync(string eniId, CancellationToken cancellation) => Done($"Delete {eniId}", () => vpc.DeleteNetworkInterface(eniId));

    private static List<IPAddress> Singles(ImmutableArray<Block> blocks) => [.. blocks.Where(one => !one.IsPrefix).Select(one => one.First.ToIPAddress())];

    private static List<IPNetwork> Prefixes(ImmutableArray<Block> blocks) => [.. blocks.Where(one => one.IsPrefix).Select(one => new IPNetwork(one.First.ToIPAddress(), 28))];

    private static Block Prefix(IPNetwork prefix) => new(Ip.From(prefix.BaseAddress), true);

    private Task<int> Done(string call, Action effect) => Call(call, () =>
    {
        vpc.Advance();
        effect();
        return 0;
    });

    private static Ec2Interface Shown(Eni eni) => new(
        eni.Id, eni.Subnet.Id, eni.Subnet.Zone, eni.Mac, eni.Status switch { EniStatus.Pending => "pending", EniStatus.Available => "available", _ => "in-use" }, [.. eni.Addresses.Select(Ip.From)],
        eni.Attachment is { } one ? new Ec2Attachment(one.Id, one.Instance.Id, one.DeviceIndex, one.NetworkCardIndex, "attached", one.DeleteOnTermination) : null,
        eni.Tags.ToImmutableSortedDictionary(StringComparer.Ordinal), [.. eni.Groups], [.. eni.Prefixes.Select(Prefix)]);

    private Task<T> Call<T>(string call, Func<T> effect)
    {
        lock (_lock)
        {
            _calls.Add(call);
            var fault = _faults.GetValueOrDefault(call.Split(' ')[0]) is { Count: > 0 } queue ? queue.Dequeue() : default;
            if (fault.Fault is not null && !fault.AfterEffect)
            {
                throw fault.Fault;
            }

            try
            {
                var answer = effect();
                return fault.Fault is null ? Task.FromResult(answer) : throw fault.Fault;
            }
            catch (Refusal refusal)
            {
                throw new Ec2Exception(Ec2FaultMap.Of(refusal.Code, (HttpStatusCode)refusal.Status, refusal.Message), refusal.Code, refusal.Message, refusal);
            }
        }
    }
}
