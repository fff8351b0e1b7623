using System.Net;

namespace AwsVpcCni.VpcEmulator.Model;

/// <summary>A network interface. Lives in one subnet, and so in one zone, for ever.</summary>
public sealed class Eni
{
    private readonly List<IPAddress> _addresses = [];
    private readonly List<IPNetwork> _prefixes = [];

    private readonly Action<Eni> _changed;

    /// <param name="changed">Told after every change.</param>
    internal Eni(long sequence, string id, string mac, Subnet subnet, IReadOnlyList<string> groups, Action<Eni> changed)
    {
        _changed = changed;
        Sequence = sequence;
        Id = id;
        Mac = mac;
        Subnet = subnet;
        Groups = groups;
    }

    /// <summary>Grows with every resource of the VPC; the order of every answer.</summary>
    public long Sequence { get; }

    public string Id { get; }

    /// <summary>Lower case with colons.</summary>
    public string Mac { get; }

    public Subnet Subnet { get; }

    public string Description
    {
        get;
        internal set => Change(field = value);
    } = "";

    /// <summary>Ids of security groups.</summary>
    public IReadOnlyList<string> Groups
    {
        get;
        internal set => Change(field = value);
    }

    public bool SourceDestCheck
    {
        get;
        internal set => Change(field = value);
    } = true;

    /// <summary>The primary one first, then in the order in which they came.</summary>
    public IReadOnlyList<IPAddress> Addresses => _addresses;

    /// <summary>Blocks of 16 addresses, in the order in which they came.</summary>
    public IReadOnlyList<IPNetwork> Prefixes => _prefixes;

    /// <summary>What counts against the limit of the instance's type: a prefix counts as one address does.</summary>
    public int Slots => _addresses.Count + _prefixes.Count;

    /// <summary>All that is delivered to it: the primary address first, and every address of its prefixes last.</summary>
    public IEnumerable<IPAddress> Delivered => _addresses.Concat(_prefixes.SelectMany(Subnet.AddressesOf));

    public SortedDictionary<string, string> Tags { get; } = new(StringComparer.Ordinal);

    public EniStatus Status
    {
        get;
        internal set => Change(field = value);
    } = EniStatus.Pending;

    /// <summary>Null: attached to nothing.</summary>
    public Attachment? Attachment
    {
        get;
        internal set => Change(field = value);
    }

    /// <summary>The token that it was made with. Null: none.</summary>
    public string? ClientToken { get; internal init; }

    /// <summary>Before this, UTC, nobody can find it.</summary>
    internal DateTimeOffset VisibleAt { get; init; }

    /// <summary>To be called after a change of <see cref="Tags"/>, or of the attachment.</summary>
    internal void Changed() => _changed(this);

    /// <summary>A copy of what it is now, of which its subnet knows nothing.</summary>
    internal Eni Frozen()
    {
        var copy = new Eni(Sequence, Id, Mac, Subnet, Groups, _ => { })
        {
            ClientToken = ClientToken,
            VisibleAt = VisibleAt,
            Description = Description,
            SourceDestCheck = SourceDestCheck,
            Status = Status,
            Attachment = Attachment?.Frozen(),
        };
        copy._addresses.AddRange(_addresses);
        copy._prefixes.AddRange(_prefixes);
        foreach (var (key, value) in Tags)
        {
            copy.Tags.Add(key, value);
        }

        return copy;
    }

    internal void Add(IPAddress address)
    {
        _addresses.Add(address);
        Subnet.Hold(address, Id);
        Changed();
    }

    internal void Remove(IPAddress address)
    {
        _addresses.Remove(address);
        Subnet.Release(address);
        Changed();
    }

    internal void Add(IPNetwork prefix)
    {
        _prefixes.Add(prefix);
        Subnet.Hold(prefix, Id);
        Changed();
    }

    internal void Remove(IPNetwork prefix)
    {
        _prefixes.Remove(prefix);
        Subnet.Release(prefix);
        Changed();
    }

    private void Change<T>(T _) => Changed();
}

/// <summary>An interface's life, in EC2's words (a pending one appears in no documented list, but in every answer to a create).</summary>
public enum EniStatus
{
    Pending,
    Available,
    InUse,
}

/// <summary>The bond between an interface and an instance.</summary>
public sealed class Attachment
{
    public required string Id { get; init; }

    public required Instance Instance { get; init; }

    public required int DeviceIndex { get; init; }

    public required int NetworkCardIndex { get; init; }

    public required DateTimeOffset At { get; init; }

    /// <summary>Whether the interface dies with its instance. An attach cannot set it: false until a modify does.</summary>
    public bool DeleteOnTermination { get; internal set; }

    public AttachmentStatus Status { get; internal set; }

    internal Attachment Frozen() => (Attachment)MemberwiseClone();
}

public enum AttachmentStatus
{
    Attaching,
    Attached,
    Detaching,
}
