using System.Globalization;
using System.Net;

namespace AwsVpcCni.VpcEmulator.Model;

/// <summary>One VPC of one account, and the rules by which EC2 changes it.</summary>
/// <remarks>No HTTP, no thread, no lock: one caller at a time. Time passes only in a call, or in <see cref="Advance"/>; whoever wants
/// transitions to happen on time calls it at <see cref="NextDue"/>. Buckets and faults are the caller's to ask first
/// (<see cref="Throttle"/>, <see cref="FaultPlan"/>). A refusal is an <see cref="Ec2Exception"/>, and has changed nothing.</remarks>
public sealed partial class Vpc
{
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly VpcTimes _times;
    private readonly int _maximumInterfaces;
    private readonly Dictionary<string, Subnet> _subnets = [];
    private readonly SortedDictionary<string, SecurityGroup> _groups = new(StringComparer.Ordinal);
    private readonly SecurityGroup _defaultGroup;
    private readonly Dictionary<string, Instance> _instances = [];
    private readonly Dictionary<string, Eni> _enis = [];
    private readonly PriorityQueue<Action, (DateTimeOffset Due, long Sequence)> _due = new();
    private long _sequence;
    private DateTimeOffset _advancedAt;

    /// <exception cref="InvalidDataException">The description is not a VPC; says what is wrong.</exception>
    public Vpc(VpcDescription description, TimeProvider time, Random random)
    {
        (_time, _random, _times, _maximumInterfaces) = (time, random, description.Times, description.MaximumInterfaces);
        Id = description.VpcId;
        Region = description.Region;
        AccountId = description.AccountId;
        Cidrs = [.. description.Cidrs.Select(cidr => IPNetwork.TryParse(cidr, out var network)
            ? network
            : throw new InvalidDataException($"{Id}: cidr `{cidr}` is not an IPv4 network. Write it as 10.0.0.0/16."))];
        if (Cidrs.Count == 0 || description.SecurityGroups.Count == 0)
        {
            throw new InvalidDataException($"{Id}: has no CIDR or no security group. Give it at least one of each.");
        }

        foreach (var subnet in description.Subnets.Select(subnet => new Subnet(subnet)))
        {
            if (!Cidrs.Any(cidr => cidr.Contains(subnet.Cidr.BaseAddress) && cidr.PrefixLength <= subnet.Cidr.PrefixLength)
                || _subnets.Values.Any(other => other.Cidr.Contains(subnet.Cidr.BaseAddress) || subnet.Cidr.Contains(other.Cidr.BaseAddress)))
            {
                throw new InvalidDataException($"{subnet.Id}: {subnet.Cidr} lies outside the VPC's CIDRs, or over another subnet.");
            }

            _subnets.Add(subnet.Id, subnet);
        }

        foreach (var group in description.SecurityGroups)
        {
            _groups.Add(group.Id, new SecurityGroup(group.Id, group.Name, new(group.Tags.ToDictionary(), StringComparer.Ordinal)));
        }

        Lag = description.Lag;
        _defaultGroup = _groups.Values.FirstOrDefault(group => group.Name == "default") ?? _groups[description.SecurityGroups[0].Id];
    }

    /// <summary>Says what has just happened, in order, inside the call that made it happen.</summary>
    public event Action<VpcEvent>? Happened;

    public string Id { get; }

    public string Region { get; }

    public string AccountId { get; }

    /// <summary>The primary one first.</summary>
    public IReadOnlyList<IPNetwork> Cidrs { get; }

    public SortedDictionary<string, string> Tags { get; } = new(StringComparer.Ordinal);

    public IReadOnlyCollection<Subnet> Subnets => _subnets.Values;

    public IReadOnlyCollection<SecurityGroup> SecurityGroups => _groups.Values;

    /// <summary>In the order in which they were launched; terminated ones for an hour.</summary>
    public IEnumerable<Instance> Instances => _instances.Values.OrderBy(instance => instance.Sequence);

    /// <summary>In the order in which they were made.</summary>
    public IEnumerable<Eni> Enis => _enis.Values.OrderBy(eni => eni.Sequence);

    /// <summary>When the next transition is due, UTC. Null: none is under way.</summary>
    public DateTimeOffset? NextDue => _due.TryPeek(out _, out var key) ? key.Due : null;

    public Instance? FindInstance(string id) => _instances.GetValueOrDefault(id);

    public Eni? FindEni(string id) => _enis.GetValueOrDefault(id);

    public Subnet? FindSubnet(string id) => _subnets.GetValueOrDefault(id);

    public SecurityGroup? FindGroup(string id) => _groups.GetValueOrDefault(id);

    /// <summary>An instance's interfaces, the primary one first.</summary>
    public IEnumerable<Eni> EnisOf(Instance instance) => InOrder(_enis.Values.Where(eni => eni.Attachment?.Instance == instance));

    /// <summary>The lowest index on the default network card at which nothing is attached.</summary>
    public int FreeDevice(Instance instance)
    {
        var taken = EnisOf(instance).Where(eni => eni.Attachment!.NetworkCardIndex == 0).Select(eni => eni.Attachment!.DeviceIndex).ToHashSet();
        return Enumerable.Range(0, taken.Count + 1).First(index => !taken.Contains(index));
    }

    /// <summary>Lets everything happen that is due by now.</summary>
    public void Advance()
    {
        Record(_advancedAt); // Nothing has happened since but what callers did then.
        while (_due.TryPeek(out var act, out var key) && key.Due <= _time.GetUtcNow())
        {
            _due.Dequeue();
            act();
            Record(key.Due);
        }

        _advancedAt = _time.GetUtcNow();
    }

    private void After(long milliseconds, Action act) =>
        _due.Enqueue(act, (_time.GetUtcNow() + TimeSpan.FromMilliseconds(milliseconds), ++_sequence));

    /// <summary>A transition's time, by the seed's choice.</summary>
    private long Spread(int milliseconds) =>
        _times.SpreadPercent == 0 ? milliseconds : milliseconds + _random.NextInt64((milliseconds * (long)_times.SpreadPercent / 100) + 1);

    /// <summary>As `eni-0123456789abcdef0`.</summary>
    private string NewId(string start) =>
        start + _random.NextInt64(1L << 60).ToString("x17", CultureInfo.InvariantCulture);

    private string NewMac()
    {
        Span<byte> tail = stackalloc byte[5];
        while (true)
        {
            _random.NextBytes(tail);
            var mac = "02:" + string.Join(':', Convert.ToHexStringLower(tail).Chunk(2).Select(pair => new string(pair)));
            if (_enis.Values.All(eni => eni.Mac != mac))
            {
                return mac;
            }
        }
    }

    private static void Replace(SortedDictionary<string, string> tags, IReadOnlyDictionary<string, string> by)
    {
        foreach (var (key, value) in by)
        {
            tags[key] = value;
        }
    }
}

/// <summary>A security group. No rules are kept.</summary>
public sealed record SecurityGroup(string Id, string Name, SortedDictionary<string, string> Tags);
