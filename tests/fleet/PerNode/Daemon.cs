using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.Tests.Fleet.PerNode;

/// <summary>The settings of amazon-vpc-cni-k8s that count here.</summary>
internal sealed record DaemonSettings
{
    public int WarmEnis { get; init; } = 1;

    public int WarmIps { get; init; }

    public int MinimumIps { get; init; }

    /// <summary>Pods that kubelet would run.</summary>
    public required int MaxPods { get; init; }
}

/// <summary>amazon-vpc-cni-k8s 1.23.1's daemon on one node, as far as EC2 sees it: how it starts, and how its pool grows (vpc-cni.md 2.4 to 2.9, 3.1, 6.1).
/// Secondary addresses only; it gives nothing back.</summary>
/// <remarks>Where the reference is not known to the last detail, it is spared: a pod gets its address the moment there is one, though kubelet comes back
/// seconds later; an SG refresh that was throttled is not tried again; reading the metadata takes no time.</remarks>
internal sealed class Daemon(string instanceId, DaemonSettings settings, Vpc vpc, SdkCaller sdk, VirtualTime time, Random random)
{
    private static readonly TimeSpan HalfTurn = TimeSpan.FromSeconds(2.5);
    private static readonly TimeSpan ReconcileTakes = TimeSpan.FromSeconds(60); // Since the last action of the pool.

    private readonly List<Held> _enis = [];
    private readonly List<TimeSpan> _placed = [];
    private int _pods;
    private TimeSpan _actedAt;

    /// <summary>Pods that want an address. More may be added at any time.</summary>
    public int Pods
    {
        get => _pods;
        set
        {
            _pods = value;
            Place();
        }
    }

    /// <summary>When each pod got its address, in order.</summary>
    public IReadOnlyList<TimeSpan> Placed => _placed;

    /// <summary>Times that its container was started.</summary>
    public int Starts { get; private set; }

    /// <summary>Whether it lacks nothing that it could still get.</summary>
    public bool IsContent => _enis.Count > 0 && _enis.TrueForAll(eni => !eni.IsHidden) && (!IsLow || (!_enis.Exists(HasRoom) && _enis.Count >= MostEnis));

    private int MostEnis => Instance.Type.Cards[0];

    private int PerEni => Instance.Type.Ipv4PerEni - 1;

    private Instance Instance => vpc.FindInstance(instanceId)!;

    private int Total => _enis.Where(eni => !eni.IsHidden).Sum(eni => eni.Addresses);

    private int Available => Total - _placed.Count;

    private bool IsByAddresses => settings.WarmIps != 0 || settings.MinimumIps != 0;

    private int Short => Math.Max(Math.Max(settings.WarmIps - Available, 0), settings.MinimumIps - Total);

    private bool IsLow => Total < settings.MaxPods && (IsByAddresses ? Short > 0
        : Available < PerEni * settings.WarmEnis || (settings.WarmEnis == 0 && Available == 0));

    /// <summary>From the node's boot on. Never ends.</summary>
    public async Task LiveAsync()
    {
        while (!await StartedAsync())
        {
            // kubelet: again at once, then after 10 s, doubled up to 5 minutes.
            await time.After(Starts == 1 ? TimeSpan.Zero : TimeSpan.FromSeconds(Math.Min(300, 10 * Math.Pow(2, Starts - 2))));
        }

        time.Start(LookForLeaksAsync);
        while (true)
        {
            await time.After(HalfTurn);
            if (IsLow)
            {
                await GrowAsync();
            }

            await time.After(HalfTurn);
            await ReconcileAsync();
        }
    }

    /// <returns>False: something has failed that ends the process.</returns>
    private async Task<bool> StartedAsync()
    {
        Starts++;
        _enis.Clear();
        try
        {
            foreach (var eni in await TryOftenAsync(12, TimeSpan.FromMilliseconds(10), isLinear: true, DescribeMineAsync))
            {
                if (!eni.IsTagged)
                {
                    await TryOftenAsync(5, TimeSpan.FromSeconds(0.5), isLinear: false, () => DoAsync("CreateTags", ec2 => ec2.CreateTags([eni.Id], Tags)));
                }

                await SetUpAsync(eni, tries: 6);
            }

            foreach (var eni in _enis.ToArray())
            {
                await RefreshGroupsAsync(eni);
            }

            if (IsLow)
            {
                await DrawAsync();
            }

            return true;
        }
        catch (Ec2Exception)
        {
            return false;
        }
    }

    /// <summary>The set that is kept is empty at first, so it always differs.</summary>
    private async Task RefreshGroupsAsync(Held eni)
    {
        try
        {
            await DoAsync("ModifyNetworkInterfaceAttribute", ec2 => ec2.ModifyGroups(eni.Id, Instance.Groups));
        }
        catch (Ec2Exception)
        {
            // Logged.
        }
    }

    /// <summary>By the ids that the metadata shows, all in one call.</summary>
    private Task<List<Held>> DescribeMineAsync() => sdk.CallAsync("DescribeNetworkInterfaces", false, ec2 => Shown()
        .Select(eni => new Held(eni.Id) { Addresses = eni.Addresses.Count - 1, IsTagged = eni.Tags.Count > 0 }).ToList());

    private IEnumerable<Eni> Shown() => vpc.EnisInMetadata(instanceId).Where(seen => seen.IsWhole).Select(seen => seen.Eni);

    /// <summary>One turn of the pool that is too low: one call on an interface that has room, or else one more interface.</summary>
    private async Task GrowAsync()
    {
        try
        {
            if (!await DrawAsync() && _enis.Count < MostEnis)
            {
                await AddEniAsync();
            }
        }
        catch (Ec2Exception)
        {
            // Logged; the next turn tries again.
        }
    }

    /// <summary>Refused, it is asked for again at once with a count of 1, whatever the reason.</summary>
    private async Task<bool> DrawAsync()
    {
        if (_enis.Find(HasRoom) is not { } eni)
        {
            return false;
        }

        int drawn;
        try
        {
            drawn = await AssignAsync(eni, Math.Min(PerEni - eni.Addresses, IsByAddresses ? Short : PerEni));
        }
        catch (Ec2Exception)
        {
            drawn = await AssignAsync(eni, 1);
        }

        eni.Addresses += drawn;
        _actedAt = time.Now;
        Place();
        return true;
    }

    private Task<int> AssignAsync(Held eni, int count) => sdk.CallAsync("AssignPrivateIpAddresses", true, ec2 => ec2.AssignPrivateIpAddresses(eni.Id, count).Count);

    private async Task AddEniAsync()
    {
        var count = IsByAddresses ? Math.Min(Short, PerEni) : PerEni;
        await DescribeSubnetsAsync(); // Where the most addresses are free: here it is always the node's own.
        var id = await sdk.CallAsync("CreateNetworkInterface", true, ec2 => ec2.CreateNetworkInterface(new CreateEni
        {
            SubnetId = Instance.Subnet.Id, SecondaryCount = count, Groups = Instance.Groups, Tags = Tags,
        }).Id);
        string attachment;
        try
        {
            var device = await sdk.CallAsync("DescribeInstances", false, ec2 => ec2.FreeDevice(Instance));
            attachment = await sdk.CallAsync("AttachNetworkInterface", true, ec2 => ec2.AttachNetworkInterface(id, instanceId, device).Id);
        }
        catch (Ec2Exception)
        {
            await DeleteAsync(id);
            throw;
        }

        try
        {
            await DoAsync("ModifyNetworkInterfaceAttribute", ec2 => ec2.ModifyDeleteOnTermination(id, attachment, true));
        }
        catch (Ec2Exception)
        {
            await FreeAsync(id, attachment);
            throw;
        }

        await SeenInMetadataAsync(id);
        _actedAt = time.Now;
        await SetUpAsync(new Held(id) { Addresses = count }, tries: 1);
        Place();
    }

    /// <summary>The interface is known before its subnet is described, and its addresses after that; when it fails, a reconcile a minute later takes them in.</summary>
    private async Task SetUpAsync(Held eni, int tries)
    {
        eni.IsHidden = true;
        _enis.Add(eni);
        for (var n = 1; n <= tries; n++)
        {
            try
            {
                await DescribeSubnetsAsync();
                eni.IsHidden = false;
                return;
            }
            catch (Ec2Exception) when (n < tries)
            {
                await time.After(TimeSpan.FromSeconds(10));
            }
            catch (Ec2Exception)
            {
                eni.IsHidden = eni.Addresses > 0;
            }
        }
    }

    /// <summary>Takes in what is there and not in the books: an interface, or only its addresses.</summary>
    private async Task ReconcileAsync()
    {
        var isUnknown = Shown().Any(eni => !_enis.Exists(known => known.Id == eni.Id));
        if (time.Now - _actedAt <= ReconcileTakes || (!isUnknown && !_enis.Exists(eni => eni.IsHidden)))
        {
            return;
        }

        try
        {
            var seen = await DescribeMineAsync();
            _enis.ForEach(eni => eni.IsHidden = false);
            foreach (var eni in seen.Where(eni => !_enis.Exists(known => known.Id == eni.Id)))
            {
                await SetUpAsync(eni, tries: 1);
            }

            Place();
        }
        catch (Ec2Exception)
        {
            // The next one, a turn later.
        }
    }

    private async Task SeenInMetadataAsync(string eniId)
    {
        for (var n = 0; n < 12 && !Shown().Any(eni => eni.Id == eniId); n++)
        {
            await time.After(Jittered(Math.Min(60, 0.1 * Math.Pow(2, n)), 0.15));
        }
    }

    private Task<bool> DeleteAsync(string eniId) => TryOftenAsync(12, TimeSpan.FromSeconds(0.5), isLinear: false, () => DoAsync("DeleteNetworkInterface", ec2 => ec2.DeleteNetworkInterface(eniId)));

    private async Task FreeAsync(string eniId, string attachment)
    {
        await sdk.CallAsync("DescribeNetworkInterfaces", false, ec2 => ec2.FindEni(eniId) is not null);
        await TryOftenAsync(12, TimeSpan.FromSeconds(0.2), isLinear: false, () => DoAsync("DetachNetworkInterface", ec2 => ec2.DetachNetworkInterface(attachment)));
        await time.After(TimeSpan.FromSeconds(2));
        await DeleteAsync(eniId);
    }

    /// <summary>Within five minutes of the start, then each hour.</summary>
    private async Task LookForLeaksAsync()
    {
        await time.After(TimeSpan.FromMinutes(5 * random.NextDouble()));
        while (true)
        {
            try
            {
                await sdk.CallAsync("DescribeNetworkInterfaces", true, ec2 => ec2.Id);
            }
            catch (Ec2Exception)
            {
                // In an hour.
            }

            await time.After(TimeSpan.FromHours(1));
        }
    }

    private Task<bool> DescribeSubnetsAsync() => DoAsync("DescribeSubnets", _ => { });

    private Task<bool> DoAsync(string action, Action<Vpc> effect) => sdk.CallAsync(action, true, ec2 =>
    {
        effect(ec2);
        return true;
    });

    private async Task<T> TryOftenAsync<T>(int tries, TimeSpan wait, bool isLinear, Func<Task<T>> call)
    {
        for (var n = 1; ; n++)
        {
            try
            {
                return await call();
            }
            catch (Ec2Exception) when (n < tries)
            {
                await time.After(isLinear ? wait * (n - 1) : Jittered(Math.Min(60, wait.TotalSeconds * Math.Pow(2, n - 1)), 0.3));
            }
        }
    }

    private TimeSpan Jittered(double seconds, double share) => TimeSpan.FromSeconds(seconds * (1 + (share * random.NextDouble())));

    private bool HasRoom(Held eni) => !eni.IsHidden && eni.Addresses < PerEni;

    private void Place()
    {
        while (_placed.Count < _pods && Available > 0)
        {
            _placed.Add(time.Now);
        }
    }

    private Dictionary<string, string> Tags => new() { ["node.k8s.amazonaws.com/instance_id"] = instanceId };

    private sealed class Held(string id)
    {
        public string Id => id;

        /// <summary>Besides its own.</summary>
        public int Addresses { get; set; }

        public bool IsTagged { get; init; }

        /// <summary>Its addresses are not in the daemon's books yet.</summary>
        public bool IsHidden { get; set; }
    }
}
