using System.Collections.Immutable;
using Amazon.EC2;
using Amazon.EC2.Model;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Instances;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Ec2;

namespace AwsVpcCni.Silo.Ec2;

/// <summary>Each method is one request of the SDK, its refusal translated once. Describes go by filter, so that an unknown id is
/// absent and not an error, and the large bucket counts.</summary>
/// <param name="connect">Makes the SDK's client. Fails while there are no credentials.</param>
/// <param name="dryRun">True: no change is carried out. EC2 answers each with the error DryRunOperation, or says why it would not do it.</param>
internal sealed class SdkEc2(Func<IAmazonEC2> connect, bool? dryRun = null) : IEc2
{
    // EC2's largest pages.
    private const int PageSize = 1000;
    private const int TypesPageSize = 100;

    private IAmazonEC2? _sdk;

    /// <inheritdoc/>
    public async Task<ImmutableArray<Ec2Instance>> DescribeInstancesAsync(ImmutableArray<string> instanceIds, CancellationToken cancellation)
    {
        var request = new DescribeInstancesRequest { MaxResults = PageSize, Filters = [Filter("instance-id", [.. instanceIds])] };
        var about = string.Join(',', instanceIds);
        var answer = await SendAsync(Ec2Action.DescribeInstances, about, (sdk, request) => sdk.DescribeInstancesAsync(request, cancellation), request, cancellation);
        RefusePart(Ec2Action.DescribeInstances, about, answer.NextToken);
        return [.. (answer.Reservations ?? []).SelectMany(reservation => reservation.Instances ?? []).Select(instance => new Ec2Instance(
            instance.InstanceId, instance.InstanceType?.Value ?? "", instance.State?.Name?.Value ?? "", instance.Placement?.AvailabilityZone ?? "",
            instance.VpcId ?? "", instance.SubnetId ?? ""))]; // A terminated instance has no VPC and no subnet any more.
    }

    /// <inheritdoc/>
    public async Task<Ec2Page> DescribeInterfacesAsync(Ec2InterfaceQuery query, string? nextToken, CancellationToken cancellation)
    {
        List<Filter> filters =
        [
            .. Optional("vpc-id", query.VpcId), .. Optional("availability-zone", query.Zone), .. Optional("subnet-id", query.SubnetId),
            .. Optional("attachment.instance-id", [.. query.InstanceIds]),
        ];
        var request = new DescribeNetworkInterfacesRequest { MaxResults = PageSize, Filters = filters, NextToken = nextToken };
        var about = string.Join(' ', filters.Select(filter => $"{filter.Name}={string.Join(',', filter.Values)}"));
        var answer = await SendAsync(Ec2Action.DescribeNetworkInterfaces, about, (sdk, request) => sdk.DescribeNetworkInterfacesAsync(request, cancellation), request, cancellation);
        return new Ec2Page([.. (answer.NetworkInterfaces ?? []).Select(Interface)], string.IsNullOrEmpty(answer.NextToken) ? null : answer.NextToken);
    }

    /// <inheritdoc/>
    public async Task<ImmutableArray<Ec2Subnet>> DescribeSubnetsAsync(string vpcId, CancellationToken cancellation)
    {
        var request = new DescribeSubnetsRequest { MaxResults = PageSize, Filters = [Filter("vpc-id", [vpcId])] };
        var answer = await SendAsync(Ec2Action.DescribeSubnets, vpcId, (sdk, request) => sdk.DescribeSubnetsAsync(request, cancellation), request, cancellation);
        RefusePart(Ec2Action.DescribeSubnets, vpcId, answer.NextToken);
        return [.. (answer.Subnets ?? []).Where(subnet => !string.IsNullOrEmpty(subnet.CidrBlock)).Select(subnet => new Ec2Subnet(
            subnet.SubnetId, subnet.VpcId, subnet.AvailabilityZone, Cidr.Parse(subnet.CidrBlock), subnet.AvailableIpAddressCount ?? 0, Tags(subnet.Tags)))];
    }

    /// <inheritdoc/>
    public async Task<ImmutableArray<ReservedRange>> GetReservationsAsync(string subnetId, CancellationToken cancellation)
    {
        var request = new GetSubnetCidrReservationsRequest { SubnetId = subnetId, MaxResults = PageSize };
        var answer = await SendAsync(Ec2Action.GetSubnetCidrReservations, subnetId, (sdk, request) => sdk.GetSubnetCidrReservationsAsync(request, cancellation), request, cancellation);
        RefusePart(Ec2Action.GetSubnetCidrReservations, subnetId, answer.NextToken);
        return [.. (answer.SubnetIpv4CidrReservations ?? []).Select(range => new ReservedRange(Cidr.Parse(range.Cidr), range.ReservationType == SubnetCidrReservationType.Prefix))];
    }

    /// <inheritdoc/>
    public async Task<Ec2Types> DescribeInstanceTypesAsync(ImmutableArray<string> instanceTypes, string? nextToken, CancellationToken cancellation)
    {
        // Not by the list of types: one that EC2 does not know would fail them all.
        var request = new DescribeInstanceTypesRequest { MaxResults = TypesPageSize, Filters = [Filter("instance-type", [.. instanceTypes])], NextToken = nextToken };
        var about = string.Join(',', instanceTypes);
        var answer = await SendAsync(Ec2Action.DescribeInstanceTypes, about, (sdk, request) => sdk.DescribeInstanceTypesAsync(request, cancellation), request, cancellation);
        return new Ec2Types([.. (answer.InstanceTypes ?? []).Where(type => type.NetworkInfo is not null).Select(Limits)], string.IsNullOrEmpty(answer.NextToken) ? null : answer.NextToken);
    }

    /// <inheritdoc/>
    public Task AssignAsync(string eniId, ImmutableArray<Block> blocks, CancellationToken cancellation) =>
        SendAsync(
            Ec2Action.AssignPrivateIpAddresses, $"{eniId} {string.Join(',', blocks)}", (sdk, request) => sdk.AssignPrivateIpAddressesAsync(request, cancellation),
            new AssignPrivateIpAddressesRequest { NetworkInterfaceId = eniId, PrivateIpAddresses = Singles(blocks), Ipv4Prefixes = Prefixes(blocks), AllowReassignment = false },
            cancellation);

    /// <inheritdoc/>
    public async Task<ImmutableArray<Block>> AssignCountedAsync(string eniId, int count, bool prefixes, CancellationToken cancellation)
    {
        var request = prefixes
            ? new AssignPrivateIpAddressesRequest { NetworkInterfaceId = eniId, Ipv4PrefixCount = count }
            : new AssignPrivateIpAddressesRequest { NetworkInterfaceId = eniId, SecondaryPrivateIpAddressCount = count, AllowReassignment = false };
        var answer = await SendAsync(Ec2Action.AssignPrivateIpAddresses, $"{eniId} {count} {(prefixes ? "prefixes" : "addresses")}", (sdk, request) => sdk.AssignPrivateIpAddressesAsync(request, cancellation), request, cancellation);
        return
        [
            .. (answer.AssignedPrivateIpAddresses ?? []).Select(address => new Block(Ip.Parse(address.PrivateIpAddress))),
            .. (answer.AssignedIpv4Prefixes ?? []).Select(prefix => Prefix(prefix.Ipv4Prefix)),
        ];
    }

    /// <inheritdoc/>
    public Task UnassignAsync(string eniId, ImmutableArray<Block> blocks, CancellationToken cancellation) =>
        SendAsync(
            Ec2Action.UnassignPrivateIpAddresses, $"{eniId} {string.Join(',', blocks)}", (sdk, request) => sdk.UnassignPrivateIpAddressesAsync(request, cancellation),
            new UnassignPrivateIpAddressesRequest { NetworkInterfaceId = eniId, PrivateIpAddresses = Singles(blocks), Ipv4Prefixes = Prefixes(blocks) },
            cancellation);

    /// <inheritdoc/>
    public async Task<Ec2Interface> CreateInterfaceAsync(Ec2NewInterface wanted, CancellationToken cancellation)
    {
        var withPrefixes = wanted.Blocks.Any(block => block.IsPrefix);
        var request = new CreateNetworkInterfaceRequest
        {
            SubnetId = wanted.SubnetId, Groups = [.. wanted.Groups], Description = wanted.Description, ClientToken = wanted.ClientToken, DryRun = dryRun,
            // EC2 takes a list of addresses or a list of prefixes, not both; the interface's own address goes with either.
            PrivateIpAddress = withPrefixes ? wanted.Blocks[0].ToString() : null,
            Ipv4Prefixes = OrNull(wanted.Blocks.Where(block => block.IsPrefix).Select(block => new Ipv4PrefixSpecificationRequest { Ipv4Prefix = block.ToString() })),
            PrivateIpAddresses = withPrefixes ? null : [.. wanted.Blocks.Select((block, index) => new PrivateIpAddressSpecification { PrivateIpAddress = block.ToString(), Primary = index == 0 })],
            TagSpecifications = [new TagSpecification { ResourceType = ResourceType.NetworkInterface, Tags = [.. wanted.Tags.Select(tag => new Tag(tag.Key, tag.Value))] }],
        };
        var answer = await SendAsync(
            Ec2Action.CreateNetworkInterface, $"{wanted.SubnetId} {string.Join(',', wanted.Blocks)}", (sdk, request) => sdk.CreateNetworkInterfaceAsync(request, cancellation), request, cancellation);
        return Interface(answer.NetworkInterface);
    }

    /// <inheritdoc/>
    public async Task<string> AttachAsync(string eniId, string instanceId, int deviceIndex, int networkCard, CancellationToken cancellation)
    {
        var answer = await SendAsync(
            Ec2Action.AttachNetworkInterface, $"{eniId} {instanceId} at device {deviceIndex} of card {networkCard}", (sdk, request) => sdk.AttachNetworkInterfaceAsync(request, cancellation),
            new AttachNetworkInterfaceRequest { NetworkInterfaceId = eniId, InstanceId = instanceId, DeviceIndex = deviceIndex, NetworkCardIndex = networkCard, DryRun = dryRun },
            cancellation);
        return answer.AttachmentId;
    }

    /// <inheritdoc/>
    public Task SetDeleteOnTerminationAsync(string eniId, string attachmentId, CancellationToken cancellation) =>
        SendAsync(
            Ec2Action.ModifyNetworkInterfaceAttribute, $"{eniId} {attachmentId}", (sdk, request) => sdk.ModifyNetworkInterfaceAttributeAsync(request, cancellation),
            new ModifyNetworkInterfaceAttributeRequest { NetworkInterfaceId = eniId, Attachment = new NetworkInterfaceAttachmentChanges { AttachmentId = attachmentId, DeleteOnTermination = true }, DryRun = dryRun },
            cancellation);

    /// <inheritdoc/>
    public Task SetGroupsAsync(string eniId, ImmutableArray<string> groups, CancellationToken cancellation) =>
        SendAsync(
            Ec2Action.ModifyNetworkInterfaceAttribute, $"{eniId} {string.Join(',', groups)}", (sdk, request) => sdk.ModifyNetworkInterfaceAttributeAsync(request, cancellation),
            new ModifyNetworkInterfaceAttributeRequest { NetworkInterfaceId = eniId, Groups = [.. groups], DryRun = dryRun }, cancellation);

    /// <inheritdoc/>
    public Task DetachAsync(string attachmentId, CancellationToken cancellation) =>
        SendAsync(
            Ec2Action.DetachNetworkInterface, attachmentId, (sdk, request) => sdk.DetachNetworkInterfaceAsync(request, cancellation),
            new DetachNetworkInterfaceRequest { AttachmentId = attachmentId, DryRun = dryRun }, cancellation);

    /// <inheritdoc/>
    public Task DeleteInterfaceAsync(string eniId, CancellationToken cancellation) =>
        SendAsync(
            Ec2Action.DeleteNetworkInterface, eniId, (sdk, request) => sdk.DeleteNetworkInterfaceAsync(request, cancellation),
            new DeleteNetworkInterfaceRequest { NetworkInterfaceId = eniId, DryRun = dryRun }, cancellation);

    private async Task<TAnswer> SendAsync<TRequest, TAnswer>(
        Ec2Action action, string about, Func<IAmazonEC2, TRequest, Task<TAnswer>> send, TRequest request, CancellationToken cancellation)
    {
        if (dryRun is true && action is (Ec2Action.AssignPrivateIpAddresses or Ec2Action.UnassignPrivateIpAddresses))
        {
            throw new InvalidOperationException($"{action} has no DryRun: it would be carried out.");
        }

        try
        {
            // Looking for credentials may block for seconds, which a grain's turn must not.
            return await send(_sdk ??= await Task.Run(connect, cancellation), request);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            throw Ec2FaultMap.Translate(action, about, e);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw new OperationCanceledException($"{action} {about}: cancelled.", e, cancellation);
        }
    }

    // A part of a listing that ought to fit one page would pass for the whole.
    private static void RefusePart(Ec2Action action, string about, string? nextToken)
    {
        if (!string.IsNullOrEmpty(nextToken))
        {
            throw new Ec2Exception(Ec2Fault.EffectUnknown, "", $"{action} {about}: EC2 answered with a part of the list, though it fits one page. Try again.");
        }
    }

    private static Ec2Interface Interface(NetworkInterface shown) => new(
        shown.NetworkInterfaceId, shown.SubnetId ?? "", shown.AvailabilityZone ?? "", shown.MacAddress ?? "", shown.Status?.Value ?? "",
        [.. (shown.PrivateIpAddresses ?? []).OrderByDescending(address => address.Primary ?? false).Select(address => Ip.Parse(address.PrivateIpAddress))],
        shown.Attachment is { } attachment
            ? new Ec2Attachment(
                attachment.AttachmentId ?? "", attachment.InstanceId ?? "", attachment.DeviceIndex ?? 0, attachment.NetworkCardIndex ?? 0,
                attachment.Status?.Value ?? "", attachment.DeleteOnTermination ?? false)
            : null,
        Tags(shown.TagSet), [.. (shown.Groups ?? []).Select(group => group.GroupId)], [.. (shown.Ipv4Prefixes ?? []).Select(prefix => Prefix(prefix.Ipv4Prefix))],
        shown.InterfaceType?.Value ?? "interface");

    private static Block Prefix(string text) => new(Cidr.Parse(text).Base, true);

    private static InstanceLimits Limits(InstanceTypeInfo shown)
    {
        var network = shown.NetworkInfo;
        var cards = (network.NetworkCards ?? []).OrderByDescending(card => card.NetworkCardIndex == (network.DefaultNetworkCardIndex ?? 0)).ThenBy(card => card.NetworkCardIndex)
            .Select(card => card.MaximumNetworkInterfaces ?? 0).ToImmutableArray();
        return new InstanceLimits(
            shown.InstanceType.Value, network.Ipv4AddressesPerInterface ?? 0, shown.Hypervisor?.Value ?? "unknown", shown.BareMetal ?? false,
            cards.IsEmpty ? [network.MaximumNetworkInterfaces ?? 0] : cards);
    }

    private static ImmutableSortedDictionary<string, string> Tags(List<Tag>? tags) =>
        (tags ?? []).ToImmutableSortedDictionary(tag => tag.Key, tag => tag.Value ?? "", StringComparer.Ordinal);

    private static List<string>? Singles(ImmutableArray<Block> blocks) => OrNull(blocks.Where(block => !block.IsPrefix).Select(block => block.ToString()));

    private static List<string>? Prefixes(ImmutableArray<Block> blocks) => OrNull(blocks.Where(block => block.IsPrefix).Select(block => block.ToString()));

    // The SDK sends an empty list as a parameter without a value, and EC2 takes one kind in a call.
    private static List<T>? OrNull<T>(IEnumerable<T> wanted) => wanted.ToList() is { Count: > 0 } list ? list : null;

    private static Filter Filter(string name, List<string> values) => new() { Name = name, Values = values };

    private static IEnumerable<Filter> Optional(string name, string? value) => value is null ? [] : [Filter(name, [value])];

    private static IEnumerable<Filter> Optional(string name, List<string> values) => values is [] ? [] : [Filter(name, values)];
}
