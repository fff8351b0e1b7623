using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Grains;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Node;

namespace AwsVpcCni.Silo.Cli.Doctor;

/// <summary>Whether a silo could work in its VPC: what it reads is read, and what it changes is asked for with DryRun, where EC2 has that.</summary>
/// <param name="ec2">EC2.</param>
/// <param name="dry">The same, with DryRun.</param>
internal sealed class Ec2Checks(IEc2 ec2, IEc2 dry, ClusterSettings settings)
{
    private const string NoInstance = "i-00000000000000000";
    private const int Tries = 5; // A policy may allow some subnets only, and changes of the cluster's instances only, and we don't know which those are.

    private static readonly Ec2Action[] WithoutDryRun = [Ec2Action.AssignPrivateIpAddresses, Ec2Action.UnassignPrivateIpAddresses];

    private static readonly Ec2Action[] OfInterfaces =
    [
        Ec2Action.AttachNetworkInterface, Ec2Action.ModifyNetworkInterfaceAttribute, Ec2Action.DetachNetworkInterface, Ec2Action.DeleteNetworkInterface,
    ];

    private ImmutableArray<Ec2Subnet> _subnets = [];
    private ImmutableArray<Ec2Interface> _interfaces = [];

    /// <summary>A line for each action.</summary>
    public async IAsyncEnumerable<Finding> LookAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        var (first, answers) = await ReadAsync(Ec2Action.DescribeSubnets, () => SubnetsAsync(cancellation));
        yield return first;
        if (!answers)
        {
            yield return new Finding("ec2", Outcome.NotTried, "The other calls would fail in the same way.");
            yield break;
        }

        yield return (await ReadAsync(Ec2Action.DescribeNetworkInterfaces, () => InterfacesAsync(cancellation))).Finding;
        ImmutableArray<Ec2Interface> attached =
        [
            .. _interfaces.Where(eni => eni.Attachment is { InstanceId.Length: > 0, AttachmentId.Length: > 0 })
                .OrderByDescending(IsOurs).DistinctBy(eni => eni.Attachment!.InstanceId).Take(Tries),
        ];
        yield return (await ReadAsync(Ec2Action.DescribeInstances, async () =>
            $"{(await ec2.DescribeInstancesAsync([.. attached.Select(eni => eni.Attachment!.InstanceId).DefaultIfEmpty(NoInstance)], cancellation)).Length} of {attached.Length} asked for")).Finding;
        yield return (await ReadAsync(Ec2Action.DescribeInstanceTypes, async () =>
            await ec2.DescribeInstanceTypesAsync(["m5.large"], null, cancellation) is { Limits: [] } ? "no page with the one asked for yet" : "1 of 1 asked for")).Finding;
        yield return _subnets.IsEmpty ? new Finding($"ec2:{Ec2Action.GetSubnetCidrReservations}", Outcome.NotTried, "No subnet is seen to ask about.")
            : (await ReadAsync(Ec2Action.GetSubnetCidrReservations, async () => $"{(await ec2.GetReservationsAsync(_subnets[0].SubnetId, cancellation)).Length} in {_subnets[0].SubnetId}")).Finding;

        yield return await AskAsync(
            Ec2Action.CreateNetworkInterface, [.. _subnets.Take(Tries)], subnet => $"in {subnet.SubnetId}, with its tags (ec2:CreateTags)", subnet => CreateAsync(subnet, attached, cancellation),
            _subnets.Length <= Tries ? null : $"{Tries} of {_subnets.Length} subnets were tried, and the policy may allow others.");
        foreach (var action in OfInterfaces)
        {
            yield return await AskAsync(
                action, attached, eni => $"{eni.EniId} of {eni.Attachment!.InstanceId}", eni => ChangeAsync(action, eni, cancellation),
                attached.Any(IsOurs) ? null : $"None of the {attached.Length} that were tried has this cluster's tag, and the policy may allow the cluster's only.");
        }

        foreach (var action in WithoutDryRun)
        {
            yield return new Finding($"ec2:{action}", Outcome.NotCheckable, $"It has no DryRun. {Needed(action)}");
        }
    }

    private async Task<string> SubnetsAsync(CancellationToken cancellation)
    {
        _subnets = await ec2.DescribeSubnetsAsync(settings.VpcId, cancellation);
        return _subnets.IsEmpty
            ? throw new Ec2Exception(Ec2Fault.NotFound, "", $"EC2 shows no subnet of {settings.VpcId}. Correct Ec2:VpcId or Ec2:Region.")
            : $"{settings.VpcId} has {string.Join(", ", _subnets.OrderBy(subnet => subnet.SubnetId, StringComparer.Ordinal).Select(subnet => $"{subnet.SubnetId} ({subnet.Zone}, {subnet.Cidr}, {subnet.AvailableAddresses} free)"))}";
    }

    private async Task<string> InterfacesAsync(CancellationToken cancellation)
    {
        _interfaces = (await ec2.DescribeInterfacesAsync(new Ec2InterfaceQuery { VpcId = settings.VpcId }, null, cancellation)).Interfaces;
        return $"{_interfaces.Length} on the first page, {_interfaces.Count(IsOurs)} of them this cluster's by tag";
    }

    private bool IsOurs(Ec2Interface eni) => eni.Tags.GetValueOrDefault(NodeGrain.ClusterTag) == settings.ClusterName;

    // As a node's grain would; the address is the first that a subnet gives to anybody.
    private Task<Ec2Interface> CreateAsync(Ec2Subnet subnet, ImmutableArray<Ec2Interface> attached, CancellationToken cancellation) => dry.CreateInterfaceAsync(
        new Ec2NewInterface(
            subnet.SubnetId, [new Block(subnet.Cidr.Base + 4)], attached is [var eni, ..] ? eni.Groups : [], $"aws-vpc-cni {settings.ClusterName} {NoInstance}",
            settings.Pool.AdditionalTags.SetItem(NodeGrain.ClusterTag, settings.ClusterName).SetItem(NodeGrain.NodeTag, NoInstance).SetItem(NodeGrain.IntentTag, $"{NoInstance}/doctor"), "aws-vpc-cni-doctor"),
        cancellation);

    private Task ChangeAsync(Ec2Action action, Ec2Interface eni, CancellationToken cancellation) => action switch
    {
        Ec2Action.AttachNetworkInterface => dry.AttachAsync(eni.EniId, eni.Attachment!.InstanceId, 1, 0, cancellation),
        Ec2Action.ModifyNetworkInterfaceAttribute => dry.SetDeleteOnTerminationAsync(eni.EniId, eni.Attachment!.AttachmentId, cancellation),
        Ec2Action.DetachNetworkInterface => dry.DetachAsync(eni.Attachment!.AttachmentId, cancellation),
        _ => dry.DeleteInterfaceAsync(eni.EniId, cancellation),
    };

    /// <returns>And whether EC2 has answered, and knows us.</returns>
    private static async Task<(Finding Finding, bool Answers)> ReadAsync(Ec2Action action, Func<Task<string>> read)
    {
        try
        {
            return (new Finding($"ec2:{action}", Outcome.Ok, await read()), true);
        }
        catch (Ec2Exception e)
        {
            var text = e.Fault == Ec2Fault.NotAuthorized ? $"{e.Message} {Needed(action)}" : e.Message;
            return (new Finding($"ec2:{action}", Outcome.Failed, text), e.Fault is not (Ec2Fault.EffectUnknown or Ec2Fault.Credentials));
        }
    }

    /// <param name="whyNotAll">Why one that was not tried may be allowed when all of these are refused; null: none may.</param>
    private static async Task<Finding> AskAsync<T>(Ec2Action action, ImmutableArray<T> targets, Func<T, string> about, Func<T, Task> ask, string? whyNotAll)
    {
        var name = $"ec2:{action}";
        Ec2Exception? refusal = null;
        foreach (var target in targets)
        {
            try
            {
                await ask(target);
                return new Finding(name, Outcome.Failed, $"EC2 has done it ({about(target)}), though it was asked with DryRun: what answers at Ec2:Endpoint is not EC2. Look what it has done.");
            }
            catch (Ec2Exception e) when (e.Code == "DryRunOperation")
            {
                return new Finding(name, Outcome.Ok, $"allowed, by DryRun: {about(target)}");
            }
            catch (Ec2Exception e)
            {
                refusal = e;
            }
        }

        return refusal switch
        {
            null => new Finding(name, Outcome.NotTried, $"Nothing is seen in the VPC to ask about it with; start a node first. {Needed(action)}"),
            { Fault: Ec2Fault.NotAuthorized } when whyNotAll is not null => new Finding(name, Outcome.NotCheckable, $"{refusal.Message} {whyNotAll} {Needed(action)}"),
            { Fault: Ec2Fault.NotAuthorized } => new Finding(name, Outcome.Failed, $"{refusal.Message} {Needed(action)}"),
            _ => new Finding(name, Outcome.NotCheckable, $"EC2 says neither yes nor no: {refusal.Message} {Needed(action)}"),
        };
    }

    private static string Needed(Ec2Action action) => $$"""The silo's role needs {"Effect":"Allow","Action":"ec2:{{action}}","Resource":"*"}, or less as docs/iam has it.""";
}
