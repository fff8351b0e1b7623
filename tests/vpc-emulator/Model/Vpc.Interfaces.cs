using System.Net;
using System.Text.Json;

namespace AwsVpcCni.VpcEmulator.Model;

/// <summary>What a CreateNetworkInterface asks for.</summary>
public sealed record CreateEni
{
    public required string SubnetId { get; init; }

    public string Description { get; init; } = "";

    /// <summary>Null: EC2 picks one.</summary>
    public IPAddress? Primary { get; init; }

    public IReadOnlyList<IPAddress> Secondary { get; init; } = [];

    /// <summary>How many more EC2 picks. Not together with <see cref="Secondary"/>.</summary>
    public int SecondaryCount { get; init; }

    /// <summary>Ids. Empty: the VPC's default group.</summary>
    public IReadOnlyList<string> Groups { get; init; } = [];

    public IReadOnlyDictionary<string, string> Tags { get; init; } = new SortedDictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Null: a repeat makes another interface.</summary>
    public string? ClientToken { get; init; }

    /// <summary>The same for the same parameters, whatever the process.</summary>
    internal string Fingerprint() => JsonSerializer.Serialize(new
    {
        SubnetId, Description, Primary = Primary?.ToString(), Secondary = Secondary.Select(address => address.ToString()), SecondaryCount, Groups,
        Tags = Tags.OrderBy(tag => tag.Key, StringComparer.Ordinal).Select(tag => $"{tag.Key}={tag.Value}"),
    });
}

/// <content>Interfaces: made, bound to instances, changed, let go.</content>
public sealed partial class Vpc
{
    private const int MaximumGroups = 5; // Per interface, VPC quotas.
    private readonly Dictionary<string, (string Fingerprint, string EniId)> _tokens = [];

    /// <summary>Makes an interface, or shows the one that this ClientToken has made.</summary>
    public Eni CreateNetworkInterface(CreateEni request)
    {
        Advance();
        if (request.ClientToken is not { } token)
        {
            return Create(request);
        }

        if (token.Length > 64 || token.Any(c => !char.IsAscii(c)))
        {
            throw Ec2Exception.Invalid("Invalid value for parameter clientToken: at most 64 ASCII characters.");
        }

        var fingerprint = request.Fingerprint();
        if (!_tokens.TryGetValue(token, out var before))
        {
            var eni = Create(request);
            _tokens.Add(token, (fingerprint, eni.Id));
            After(_times.ClientTokenHours * 3_600_000L, () => _tokens.Remove(token));
            return eni;
        }

        // What EC2 answers for an interface deleted since is not documented. This one makes no second.
        return before.Fingerprint == fingerprint
            ? Existing(before.EniId)
            : throw Ec2Exception.Of("IdempotentParameterMismatch");
    }

    public Attachment AttachNetworkInterface(string eniId, string instanceId, int deviceIndex, int networkCardIndex = 0)
    {
        Advance();
        var eni = Existing(eniId);
        var instance = FindInstance(instanceId) ?? throw Ec2Exception.NoInstance(instanceId);
        if (instance.State is not (InstanceState.Running or InstanceState.Stopped))
        {
            throw new Ec2Exception("IncorrectInstanceState",
                $"The {Words(instance.State)} instance '{instanceId}' is not in a valid state for this operation.");
        }

        if (networkCardIndex < 0 || networkCardIndex >= instance.Type.Cards.Count || deviceIndex < 0)
        {
            throw Ec2Exception.Invalid($"Invalid value for networkCardIndex {networkCardIndex} or deviceIndex {deviceIndex} on {instance.Type.Type}.");
        }

        var onCard = EnisOf(instance).Where(other => other.Attachment!.NetworkCardIndex == networkCardIndex).ToList();
        if (onCard.Exists(other => other.Attachment!.DeviceIndex == deviceIndex))
        {
            throw Ec2Exception.Invalid($"Instance '{instanceId}' already has an interface attached at device index '{deviceIndex}'.");
        }

        // A pending interface can be attached: amazon-vpc-cni-k8s does so right after its create.
        if (eni.Attachment is not null)
        {
            throw new Ec2Exception("InvalidNetworkInterface.InUse", $"Interface: [{eniId}] in use.");
        }

        if (eni.Subnet.Zone != instance.Subnet.Zone)
        {
            throw new Ec2Exception("InvalidParameterCombination",
                $"The network interface {eniId} ({eni.Subnet.Zone}) and the instance {instanceId} ({instance.Subnet.Zone}) are not in the same availability zone.");
        }

        if (onCard.Count >= instance.Type.Cards[networkCardIndex])
        {
            throw new Ec2Exception("AttachmentLimitExceeded", $"Interface count {onCard.Count + 1} exceeds the limit for {instance.Type.Type}");
        }

        if (eni.Addresses.Count > instance.Type.Ipv4PerEni)
        {
            throw Ec2Exception.Of("PrivateIpAddressLimitExceeded");
        }

        var attachment = Bind(eni, instance, deviceIndex, networkCardIndex);
        After(_times.AttachMs, () =>
        {
            if (eni.Attachment == attachment) // The instance may have gone meanwhile.
            {
                Attached(eni);
            }
        });
        return attachment;
    }

    public void DetachNetworkInterface(string attachmentId)
    {
        Advance();
        var eni = _enis.Values.FirstOrDefault(eni => eni.Attachment?.Id == attachmentId) ?? throw Ec2Exception.NoAttachment(attachmentId);
        var attachment = eni.Attachment!;
        if (attachment is { DeviceIndex: 0, NetworkCardIndex: 0 })
        {
            throw new Ec2Exception("OperationNotPermitted",
                "The network interface at device index 0 and networkCard index 0 cannot be detached.");
        }

        if (attachment.Status != AttachmentStatus.Attached)
        {
            throw new Ec2Exception("IncorrectState", $"The interface attachment '{attachmentId}' is {Words(attachment.Status)}.");
        }

        attachment.Status = AttachmentStatus.Detaching;
        After(_times.DetachMs, () =>
        {
            if (eni.Attachment == attachment)
            {
                Detached(eni);
            }
        });
    }

    public void DeleteNetworkInterface(string eniId)
    {
        Advance();
        var eni = Existing(eniId);
        if (eni.Attachment is not null)
        {
            throw Ec2Exception.Invalid($"Network interface '{eniId}' is currently in use.");
        }

        Forget(eni);
    }

    public void ModifyDeleteOnTermination(string eniId, string attachmentId, bool delete)
    {
        Advance();
        if (Existing(eniId).Attachment is not { } attachment || attachment.Id != attachmentId)
        {
            throw Ec2Exception.NoAttachment(attachmentId);
        }

        attachment.DeleteOnTermination = delete;
    }

    /// <param name="groups">All of them, at least one.</param>
    public void ModifyGroups(string eniId, IReadOnlyList<string> groups)
    {
        Advance();
        Existing(eniId).Groups = Checked(groups);
    }

    public void ModifySourceDestCheck(string eniId, bool check)
    {
        Advance();
        Existing(eniId).SourceDestCheck = check;
    }

    public void ModifyDescription(string eniId, string description)
    {
        Advance();
        Existing(eniId).Description = description;
    }

    private Eni Existing(string eniId) => FindEni(eniId) ?? throw Ec2Exception.NoInterface(eniId);

    private Eni Create(CreateEni request)
    {
        var eni = NewEni(request);
        After(_times.CreateMs, () =>
        {
            if (eni.Status == EniStatus.Pending)
            {
                eni.Status = EniStatus.Available;
            }
        });
        return eni;
    }

    private Eni NewEni(CreateEni request)
    {
        var subnet = FindSubnet(request.SubnetId) ?? throw Ec2Exception.NoSubnet(request.SubnetId);
        var groups = request.Groups.Count == 0 ? [_defaultGroup.Id] : Checked(request.Groups);
        CheckTags(request.Tags);
        IPAddress[] named = request.Primary is { } primary ? [primary, .. request.Secondary] : [.. request.Secondary];
        CheckNames(subnet, named);
        if (named.Any(address => subnet.HolderOf(address) is not null))
        {
            throw new Ec2Exception("InvalidIPAddress.InUse", "The specified address is already in use.");
        }

        if (_enis.Count >= _maximumInterfaces)
        {
            throw new Ec2Exception("NetworkInterfaceLimitExceeded", $"You've reached the limit of {_maximumInterfaces} network interfaces.");
        }

        var counted = request.SecondaryCount + (request.Primary is null ? 1 : 0);
        if (request.SecondaryCount > 0 && named.Length + counted > subnet.AvailableIpAddressCount)
        {
            throw Ec2Exception.Invalid("There aren't sufficient free Ipv4 addresses or prefixes");
        }

        var chosen = subnet.ChooseFree(counted, _random, named);
        var addresses = request.Primary is null ? [chosen[0], .. named, .. chosen.Skip(1)] : named.Concat(chosen);
        var eni = new Eni(++_sequence, NewId("eni-"), NewMac(), subnet, addresses, groups)
        {
            Description = request.Description,
            ClientToken = request.ClientToken,
        };
        Replace(eni.Tags, request.Tags);
        _enis.Add(eni.Id, eni);
        return eni;
    }

    private IReadOnlyList<string> Checked(IReadOnlyList<string> groups)
    {
        if (groups.FirstOrDefault(id => !_groups.ContainsKey(id)) is { } unknown)
        {
            throw Ec2Exception.NoGroup(unknown);
        }

        return groups.Count <= MaximumGroups
            ? groups
            : throw new Ec2Exception("SecurityGroupsPerInterfaceLimitExceeded", $"The maximum number of security groups per interface is {MaximumGroups}.");
    }

    private Attachment Bind(Eni eni, Instance instance, int deviceIndex, int networkCardIndex)
    {
        eni.Status = EniStatus.InUse;
        return eni.Attachment = new Attachment
        {
            Id = NewId("eni-attach-"),
            Instance = instance,
            DeviceIndex = deviceIndex,
            NetworkCardIndex = networkCardIndex,
            At = _time.GetUtcNow(),
        };
    }

    private void Attached(Eni eni)
    {
        eni.Attachment!.Status = AttachmentStatus.Attached;
        Happened?.Invoke(new VpcEvent.InterfaceAttached(eni, eni.Attachment, [.. eni.Addresses]));
    }

    private void Detached(Eni eni)
    {
        var attachment = eni.Attachment!;
        eni.Attachment = null;
        eni.Status = EniStatus.Available;
        if (attachment.Status != AttachmentStatus.Attaching) // Otherwise its instance has never seen it.
        {
            Happened?.Invoke(new VpcEvent.InterfaceDetached(eni, attachment));
        }
    }

    private void Forget(Eni eni)
    {
        eni.Addresses.ToList().ForEach(eni.Remove);
        _enis.Remove(eni.Id);
    }

    private static string Words(InstanceState state) => state == InstanceState.ShuttingDown ? "shutting-down" : state.ToString().ToLowerInvariant();

    private static string Words(AttachmentStatus status) => status.ToString().ToLowerInvariant();
}
