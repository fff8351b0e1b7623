using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Grains.Node;

/// <summary>Which sandbox has which address of a node: by the rows, by the rows being written, by the executor's last report.</summary>
/// <remarks>An ADD asks what one sandbox has and which addresses are on no pod. Both are kept beside the rows, so that it
/// does not take longer the more pods a node has.</remarks>
internal sealed class AddressUse
{
    private readonly SortedDictionary<Ip, AddressRow> _rows = [];
    private readonly SortedDictionary<Ip, (SandboxKey Sandbox, PodName Pod)> _picked = []; // Being written: the next ADD must not pick it too.
    private Dictionary<Ip, Claim> _claims = []; // Of the last report.
    private readonly Dictionary<Ip, TimeSpan> _freed = []; // Of the last report: how long each had rested then.
    private readonly Dictionary<SandboxKey, SortedSet<Ip>> _standing = []; // Its rows that are not released: one, and rarely more.
    private readonly HashSet<Ip> _onPods = [];
    private readonly Dictionary<Block, int> _onPrefix = []; // Of _onPods, whether or not the /28 is held as a prefix.
    private DateTimeOffset _reportedAt;

    /// <summary>All rows that are not released, by address.</summary>
    public IEnumerable<AddressRow> Standing => _rows.Values.Where(row => row.Released is null);

    public AddressRow? RowAt(Ip address) => _rows.GetValueOrDefault(address);

    public Claim? ClaimOf(Ip address) => _claims.GetValueOrDefault(address);

    /// <summary>The rows of a sandbox that are not released, by address.</summary>
    public IEnumerable<AddressRow> RowsOf(SandboxKey sandbox) =>
        _standing.TryGetValue(sandbox, out var addresses) ? addresses.Select(address => _rows[address]) : [];

    /// <summary>The address whose row is being written for the sandbox.</summary>
    public Ip? PickedFor(SandboxKey sandbox)
    {
        foreach (var (address, owner) in _picked)
        {
            if (owner.Sandbox == sandbox)
            {
                return address;
            }
        }

        return null;
    }

    /// <summary>The pods that have an address, or will once its row is written.</summary>
    public IEnumerable<PodName> Pods => Standing.Select(row => row.Pod).Concat(_picked.Values.Select(one => one.Pod));

    /// <summary>Goes up with each row that is picked, set or removed: a look at the store that it went up beside proves nothing.</summary>
    public long Changes { get; private set; }

    /// <summary>Whether these rows of the store are those that are kept here; a row that is being written just now is left out.</summary>
    public bool IsAsStored(IReadOnlyCollection<AddressRow> stored) => stored.Count(row => !_picked.ContainsKey(row.Address)) == _rows.Keys.Count(address => !_picked.ContainsKey(address)) && stored.All(row => _picked.ContainsKey(row.Address) ||
        (_rows.GetValueOrDefault(row.Address) is { } own && own.Sandbox == row.Sandbox && own.Stamp == row.Stamp && own.Released is null == row.Released is null));

    public bool IsOnPod(Ip address) => _onPods.Contains(address);

    /// <summary>How many addresses of the /28 that has this one are on pods.</summary>
    public int OnPrefix(Ip address) => _onPrefix.GetValueOrDefault(Block.PrefixOf(address));

    /// <summary>How long a free address has been free; null when no pod has had it.</summary>
    public TimeSpan? Rested(Ip address, DateTimeOffset now)
    {
        var row = _rows.GetValueOrDefault(address);
        if (row?.Released > now)
        {
            // By a clock that was ahead: it rests from now on, not until this clock is there.
            _rows[address] = row = row with { Released = now };
        }

        TimeSpan? rested = row?.Released is { } released ? now - released : null;
        if (_freed.TryGetValue(address, out var then))
        {
            // The executor counts from the moment when the kernel confirmed that the link is gone: the later one holds.
            var reported = then + (now - _reportedAt);
            rested = rested is null || reported < rested ? reported : rested;
        }

        return rested;
    }

    public void Pick(Ip address, SandboxKey sandbox, PodName pod)
    {
        _picked[address] = (sandbox, pod);
        Reckon(address);
    }

    /// <summary>The row as the store has it; it is being written no more.</summary>
    public void Wrote(AddressRow row)
    {
        _picked.Remove(row.Address);
        Set(row);
    }

    public void Set(AddressRow row)
    {
        Forget(row.Address);
        _rows[row.Address] = row;
        if (row.Released is null)
        {
            if (!_standing.TryGetValue(row.Sandbox, out var addresses))
            {
                _standing[row.Sandbox] = addresses = [];
            }

            addresses.Add(row.Address);
        }

        Reckon(row.Address);
    }

    public void Remove(Ip address)
    {
        Forget(address);
        Reckon(address);
    }

    /// <summary>What the executor says; it replaces what it said before.</summary>
    /// <returns>The claims of before.</returns>
    public IReadOnlyDictionary<Ip, Claim> Report(NodeReport report, DateTimeOffset now)
    {
        var before = _claims;
        _claims = [];
        _freed.Clear();
        _reportedAt = now;
        foreach (var claim in report.Claims)
        {
            _claims[claim.Address] = claim;
        }

        foreach (var resting in report.Freed)
        {
            _freed[resting.Address] = TimeSpan.FromSeconds(resting.FreedSeconds);
        }

        foreach (var address in before.Keys.Concat(_claims.Keys))
        {
            Reckon(address);
        }

        return before;
    }

    private void Forget(Ip address)
    {
        if (_rows.Remove(address, out var row) && _standing.TryGetValue(row.Sandbox, out var addresses) && addresses.Remove(address) && addresses.Count == 0)
        {
            _standing.Remove(row.Sandbox);
        }
    }

    private void Reckon(Ip address)
    {
        Changes++;
        var row = _rows.GetValueOrDefault(address);
        var isOnPod = row is { Released: null } || _picked.ContainsKey(address) || (_claims.TryGetValue(address, out var claim) && !HasEnded(claim, row));
        if (isOnPod ? _onPods.Add(address) : _onPods.Remove(address))
        {
            var prefix = Block.PrefixOf(address);
            _onPrefix[prefix] = OnPrefix(address) + (isOnPod ? 1 : -1);
            if (_onPrefix[prefix] == 0)
            {
                _onPrefix.Remove(prefix);
            }
        }
    }

    /// <summary>Whether the claim that the last report named was released since.</summary>
    private static bool HasEnded(Claim claim, AddressRow? row) => row is { Released: not null } && row.Sandbox == claim.Sandbox && row.Stamp >= claim.Stamp;
}
