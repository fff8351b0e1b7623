using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.History;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Tests.Simulation.Cluster;
using AwsVpcCni.Tests.Simulation.Faults;
using AwsVpcCni.Tests.Simulation.Node;
using AwsVpcCni.Tests.Simulation.Scheduling;

namespace AwsVpcCni.Tests.Simulation.Checkers;

/// <summary>Who had an address when, as the kernels have seen it, against what the store says: `ipam who ADDRESS --at TIME` is right.</summary>
/// <remarks>Each life must be known. Asked besides is a moment near the end of each that is longer than its beginning may be off: by silos' clocks, and by messages that come late, since only ages travel. Left out: seeds whose clocks jump or whose store goes back, and what an
/// instance took with it, or a reboot, before any silo had heard of it.</remarks>
internal sealed class Histories(World world)
{
    private static readonly TimeSpan StartsWithin = TimeSpan.FromSeconds(12); // An executor, after a crash.
    private static readonly TimeSpan BeforeEnd = TimeSpan.FromSeconds(3.5); // Silos' clocks are up to 3 s off.

    private readonly Dictionary<(SimMachine Machine, Ip Address), (SandboxKey Sandbox, TimeSpan From)> _open = [];
    private readonly List<Life> _lives = [];
    private readonly List<(SimMachine Machine, TimeSpan At)> _crashes = []; // Of executors.

    private static readonly FaultKind[] Delays = [FaultKind.MessageLate, FaultKind.ActivationStalled, FaultKind.StoreSlow];

    private TimeSpan Shortest => BeforeEnd + TimeSpan.FromSeconds(Delays.Any(world.Faults.Struck.ContainsKey) ? 14 : 5);

    private const int MostAskedOfTheGrain = 40; // Each is some twenty events.

    private readonly List<(Life Life, TimeSpan At)> _moments = []; // Of which the store says what is right.

    /// <summary>How many have been asked for.</summary>
    public int Asked { get; private set; }

    public void Crashed(SimMachine machine) => _crashes.Add((machine, world.Scheduler.Now));

    public void Wired(SimMachine machine, SandboxKey sandbox, Ip address) => _open.TryAdd((machine, address), (sandbox, world.Scheduler.Now));

    public void LinkGone(SimMachine machine, Ip address)
    {
        if (_open.Remove((machine, address), out var life))
        {
            _lives.Add(new Life(machine, address, life.Sandbox, life.From, world.Scheduler.Now));
        }
    }

    /// <summary>The machine is lost, or starts anew: what its executor has not been told to be stored, no silo may know.</summary>
    public void Stopped(SimMachine machine)
    {
        foreach (var (key, life) in _open.Where(one => one.Key.Machine == machine).ToArray())
        {
            _open.Remove(key);
            _lives.Add(new Life(machine, key.Address, life.Sandbox, life.From, world.Scheduler.Now));
        }

        var lease = machine.Executor?.Link.Lease ?? machine.LeaseOnDisk();
        var untold = lease?.Claims.Keys.Concat(lease.Ended.Values.Select(ended => ended.Sandbox)).ToHashSet();
        _lives.RemoveAll(life => life.Machine == machine && untold?.Contains(life.Sandbox) != false && !At(life.Address, life.To - BeforeEnd).Any(row => row.Sandbox == life.Sandbox));
    }

    /// <returns>Of whom the store says something else; null when all is right.</returns>
    public string? Wrong()
    {
        if (world.Faults.Struck.ContainsKey(FaultKind.ClockJumps) || world.Faults.Struck.ContainsKey(FaultKind.StoreRestored))
        {
            return null;
        }

        var open = _open.Select(one => new Life(one.Key.Machine, one.Key.Address, one.Value.Sandbox, one.Value.From, world.Scheduler.Now));
        foreach (var life in _lives.Concat(open))
        {
            Asked++;
            if (!Known(life.Address).Any(row => row.Sandbox == life.Sandbox))
            {
                return $"{life.Address}: {life.Sandbox} of {life.Machine.InstanceId} had it from {life.From} to {life.To}, and the store has never heard of that";
            }

            // An executor that crashed while it ended the pod had told that it ends: its link went only with the next one's start.
            var end = _crashes.Where(one => one.Machine == life.Machine && one.At > life.From && one.At < life.To && life.To - one.At < StartsWithin).Select(one => one.At).Append(life.To).Min();
            if (end - life.From < Shortest)
            {
                continue;
            }

            var at = end - BeforeEnd;
            _moments.Add((life, at));
            var said = At(life.Address, at).ToList();
            if (!said.Select(row => row.Sandbox).Distinct().SequenceEqual([life.Sandbox]))
            {
                return $"{life.Address} at {at}: {life.Sandbox} of {life.Machine.InstanceId} had it from {life.From} to {life.To}, and the store says {(said.Count == 0 ? "nobody" : string.Join("; ", said))}";
            }
        }

        return null;
    }

    /// <summary>The same of some of these moments, evenly, by the grain that operators ask: it knows whom to ask, and what is true by now is in nodes' memory and not all in the store.</summary>
    /// <returns>Of whom the grain says something else; null when all is right.</returns>
    public async Task<string?> WrongOfGrainAsync()
    {
        var grain = new Factory().GetGrain<IAddressHistoryGrain>(World.VpcId);
        var step = Math.Max(1, _moments.Count / MostAskedOfTheGrain);
        for (var n = 0; n < _moments.Count; n += step)
        {
            var (life, at) = _moments[n];
            var answer = await grain.WhoAsync(life.Address, WallClock.Begin + at);
            if (!answer.Holders.Select(row => row.Sandbox).Distinct().SequenceEqual([life.Sandbox]))
            {
                return $"{life.Address} at {at}: {life.Sandbox} of {life.Machine.InstanceId} had it from {life.From} to {life.To}, and the grain says {(answer.Holders.IsEmpty ? "nobody" : string.Join("; ", answer.Holders))}";
            }
        }

        return null;
    }

    private IEnumerable<AddressRow> Known(Ip address) => world.Store.Book.ReadHistoryAsync(address, DateTimeOffset.MinValue, DateTimeOffset.MaxValue, default).GetAwaiter().GetResult()
        .Concat(world.Store.Book.Copy().Where(row => row.Address == address));

    private IEnumerable<AddressRow> At(Ip address, TimeSpan now)
    {
        var at = WallClock.Begin + now;
        return world.Store.Book.ReadHistoryAsync(address, at, at, default).GetAwaiter().GetResult()
            .Concat(world.Store.Book.Copy().Where(row => row.Address == address && row.Released is null && row.Since <= at));
    }

    private sealed record Life(SimMachine Machine, Ip Address, SandboxKey Sandbox, TimeSpan From, TimeSpan To);
}
