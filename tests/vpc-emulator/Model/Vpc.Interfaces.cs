namespace AwsVpcCni.VpcEmulator.Model;

/// <content>Interfaces: bound to instances, changed, let go.</content>
public sealed partial class Vpc
{
    private const int MaximumGroups = 5; // Per interface, VPC quotas.

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

        CheckPrefixes(instance.Type, eni.Prefixes.Count);
        if (eni.Slots > instance.Type.Ipv4PerEni)
        {
            throw Ec2Exception.Of("PrivateIpAddressLimitExceeded");
        }

        var attachment = Bind(eni, instance, deviceIndex, networkCardIndex);
        After(Spread(_times.AttachMs), () =>
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
        eni.Changed();
        After(Spread(_times.DetachMs), () =>
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
        var eni = Existing(eniId);
        if (eni.Attachment is not { } attachment || attachment.Id != attachmentId)
        {
            throw Ec2Exception.NoAttachment(attachmentId);
        }

        attachment.DeleteOnTermination = delete;
        eni.Changed();
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

    private Eni Existing(string eniId) => FindEni(eniId) is { } eni && IsVisible(eni) ? eni : throw Ec2Exception.NoInterface(eniId);

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
        eni.Changed();
        Happened?.Invoke(new VpcEvent.InterfaceAttached(eni, eni.Attachment, [.. eni.Delivered]));
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
        eni.Prefixes.ToList().ForEach(eni.Remove);
        _enis.Remove(eni.Id);
        eni.Changed();
    }

    private static string Words(InstanceState state) => state == InstanceState.ShuttingDown ? "shutting-down" : state.ToString().ToLowerInvariant();

    private static string Words(AttachmentStatus status) => status.ToString().ToLowerInvariant();
}
