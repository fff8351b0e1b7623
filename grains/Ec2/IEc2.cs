using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Instances;
using AwsVpcCni.Core.Subnets;

namespace AwsVpcCni.Grains.Ec2;

/// <summary>What the grains need of EC2. Each method is exactly one request: no resend, no paging inside.</summary>
/// <remarks>Every method throws <see cref="Ec2Exception"/> and nothing else, but for cancellation. Callers take a
/// permit from the quota grain before each call.</remarks>
public interface IEc2
{
    /// <summary>The instances among <paramref name="instanceIds"/> that EC2 shows (by filter: unknown ids are simply absent).</summary>
    /// <param name="instanceIds">At most 200.</param>
    /// <param name="cancellation">Ends the wait.</param>
    Task<ImmutableArray<Ec2Instance>> DescribeInstancesAsync(ImmutableArray<string> instanceIds, CancellationToken cancellation);

    /// <summary>One page of interfaces.</summary>
    Task<Ec2Page> DescribeInterfacesAsync(Ec2InterfaceQuery query, string? nextToken, CancellationToken cancellation);

    /// <summary>The VPC's subnets.</summary>
    Task<ImmutableArray<Ec2Subnet>> DescribeSubnetsAsync(string vpcId, CancellationToken cancellation);

    /// <summary>The subnet's CIDR reservations, those of IPv4.</summary>
    Task<ImmutableArray<ReservedRange>> GetReservationsAsync(string subnetId, CancellationToken cancellation);

    /// <summary>The limits of those among <paramref name="instanceTypes"/> that EC2 knows and that its page has: it makes pages of all its types, and leaves out of them
    /// what is not asked for, so that a page may be empty and not the last (aws/boto3 issue 2888).</summary>
    /// <param name="instanceTypes">At most 100.</param>
    /// <param name="nextToken">Of the page before; null for the first.</param>
    /// <param name="cancellation">Ends the wait.</param>
    Task<Ec2Types> DescribeInstanceTypesAsync(ImmutableArray<string> instanceTypes, string? nextToken, CancellationToken cancellation);

    /// <summary>Draws exactly these for the interface (AllowReassignment = false): addresses, or prefixes, not both in one call.</summary>
    Task AssignAsync(string eniId, ImmutableArray<Block> blocks, CancellationToken cancellation);

    /// <summary>Draws some addresses or prefixes that EC2 chooses. The fall-back only: a lost answer leaks them until they are looked for.</summary>
    /// <returns>What EC2 gave.</returns>
    Task<ImmutableArray<Block>> AssignCountedAsync(string eniId, int count, bool prefixes, CancellationToken cancellation);

    /// <summary>Returns these addresses and prefixes to EC2. All or nothing.</summary>
    Task UnassignAsync(string eniId, ImmutableArray<Block> blocks, CancellationToken cancellation);

    /// <summary>Makes an interface with just these addresses and prefixes. The same token and parameters again give the same interface.</summary>
    Task<Ec2Interface> CreateInterfaceAsync(Ec2NewInterface wanted, CancellationToken cancellation);

    /// <summary>Attaches it.</summary>
    /// <returns>The attachment's id.</returns>
    Task<string> AttachAsync(string eniId, string instanceId, int deviceIndex, int networkCard, CancellationToken cancellation);

    /// <summary>Has the interface deleted when its instance ends. Repeatable.</summary>
    Task SetDeleteOnTerminationAsync(string eniId, string attachmentId, CancellationToken cancellation);

    /// <summary>Gives the interface these security groups, and no others. Repeatable.</summary>
    Task SetGroupsAsync(string eniId, ImmutableArray<string> groups, CancellationToken cancellation);

    /// <summary>Detaches it; takes seconds after the answer.</summary>
    Task DetachAsync(string attachmentId, CancellationToken cancellation);

    /// <summary>Deletes a detached interface with all its addresses.</summary>
    Task DeleteInterfaceAsync(string eniId, CancellationToken cancellation);
}

/// <summary>Which interfaces a describe asks for. All set fields must hold.</summary>
public sealed record Ec2InterfaceQuery
{
    /// <summary>Filter vpc-id.</summary>
    public string? VpcId { get; init; }

    /// <summary>Filter availability-zone.</summary>
    public string? Zone { get; init; }

    /// <summary>Filter attachment.instance-id; at most 200.</summary>
    public ImmutableArray<string> InstanceIds { get; init; } = [];

    /// <summary>Filter subnet-id.</summary>
    public string? SubnetId { get; init; }
}

/// <summary>One page of a listing.</summary>
/// <param name="Interfaces">What it holds.</param>
/// <param name="NextToken">Asks for the next page; null on the last.</param>
public sealed record Ec2Page(ImmutableArray<Ec2Interface> Interfaces, string? NextToken);

/// <summary>One page of instance types.</summary>
/// <param name="Limits">Of those that were asked for.</param>
/// <param name="NextToken">Asks for the next page; null on the last.</param>
public sealed record Ec2Types(ImmutableArray<InstanceLimits> Limits, string? NextToken);

/// <summary>An instance as EC2 shows it.</summary>
/// <param name="State">EC2's word: pending, running, shutting-down, terminated, stopping, stopped.</param>
[GenerateSerializer, Immutable]
public sealed record Ec2Instance(
    [property: Id(0)] string InstanceId, [property: Id(1)] string InstanceType, [property: Id(2)] string State,
    [property: Id(3)] string Zone, [property: Id(4)] string VpcId, [property: Id(5)] string SubnetId);

/// <summary>An interface as EC2 shows it.</summary>
/// <param name="Status">EC2's word: available, associated, attaching, in-use, detaching, pending.</param>
/// <param name="Addresses">The primary address first, then the secondary ones.</param>
/// <param name="Attachment">Null when it is not attached.</param>
/// <param name="Groups">Ids of its security groups.</param>
/// <param name="Prefixes">The /28s that it holds besides.</param>
/// <param name="Type">EC2's word: interface, efa, efa-only, trunk, branch and others.</param>
[GenerateSerializer, Immutable]
public sealed record Ec2Interface(
    [property: Id(0)] string EniId, [property: Id(1)] string SubnetId, [property: Id(2)] string Zone, [property: Id(3)] string Mac,
    [property: Id(4)] string Status, [property: Id(5)] ImmutableArray<Ip> Addresses, [property: Id(6)] Ec2Attachment? Attachment,
    [property: Id(7)] ImmutableSortedDictionary<string, string> Tags, [property: Id(8)] ImmutableArray<string> Groups,
    [property: Id(9)] ImmutableArray<Block> Prefixes, [property: Id(10)] string Type = "interface")
{
    /// <summary>What it holds for pods: all but its own address.</summary>
    public IEnumerable<Block> Held => Addresses.Skip(1).Select(address => new Block(address)).Concat(Prefixes);
}

/// <summary>An interface to be made.</summary>
/// <param name="Blocks">Its own address first, then addresses, or prefixes, not both.</param>
/// <param name="ClientToken">At most 64 ASCII characters.</param>
public sealed record Ec2NewInterface(
    string SubnetId, ImmutableArray<Block> Blocks, ImmutableArray<string> Groups, string Description,
    ImmutableSortedDictionary<string, string> Tags, string ClientToken);

/// <summary>How an interface hangs on an instance.</summary>
/// <param name="Status">EC2's word: attaching, attached, detaching, detached.</param>
[GenerateSerializer, Immutable]
public sealed record Ec2Attachment(
    [property: Id(0)] string AttachmentId, [property: Id(1)] string InstanceId, [property: Id(2)] int DeviceIndex,
    [property: Id(3)] int NetworkCard, [property: Id(4)] string Status, [property: Id(5)] bool DeleteOnTermination);

/// <summary>A subnet as EC2 shows it.</summary>
/// <param name="AvailableAddresses">Free single addresses by EC2's count.</param>
[GenerateSerializer, Immutable]
public sealed record Ec2Subnet(
    [property: Id(0)] string SubnetId, [property: Id(1)] string VpcId, [property: Id(2)] string Zone, [property: Id(3)] Cidr Cidr,
    [property: Id(4)] int AvailableAddresses, [property: Id(5)] ImmutableSortedDictionary<string, string> Tags);
