using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.NodeExecutor.Wiring;
using AwsVpcCni.Tests.Simulation.Cluster;
using AwsVpcCni.Tests.Simulation.Node;
using AwsVpcCni.VpcEmulator.Model;
using Block = AwsVpcCni.Core.Addressing.Block;

namespace AwsVpcCni.Tests.Simulation.Checkers;

/// <summary>What must hold at every step, whatever happens: looked at whenever a kernel, EC2 or a node's document has changed.</summary>
/// <remarks>Not checked here: what only healing shows (<see cref="Liveness"/>), times of the real kernel, and packets.</remarks>
internal sealed class Invariants(World world)
{
    private const int MostWrites = 300;
    private static readonly TimeSpan WritesWithin = TimeSpan.FromSeconds(10);

    private readonly Dictionary<Ip, TimeSpan> _goneAt = []; // When a link with the address went last.
    private readonly Dictionary<string, NodeDocument> _documents = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (TimeSpan Since, int Count)> _writes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Ip[]> _drawnByCount = new(StringComparer.Ordinal); // By intent.
    private readonly HashSet<string> _ofOlderStores = new(StringComparer.Ordinal); // Takings.
    private readonly HashSet<Ip> _forgotten = [];
    private readonly HashSet<Ip> _putBack = [];
    private bool _isDirty;

    /// <summary>By hand taken from an interface of ours: all that is promised about them is that nobody else's pod gets them while they are wired.</summary>
    public HashSet<Ip> TakenByHands { get; } = [];

    /// <summary>What is drawn for these is as good as taken: only two looks a minute apart show that they are gone.</summary>
    public HashSet<string> DetachedByHands { get; } = new(StringComparer.Ordinal);

    /// <summary>The store has gone back. Its takings may be over long ago and are forgotten, when the executor shows that they are old. And that an address
    /// which hands have taken is on a pod still, nobody but the store knew: another node may get it.</summary>
    public void Restored()
    {
        _documents.Clear();
        foreach (var machine in world.Machines)
        {
            if (world.DocumentOf<NodeDocument>("node", machine.InstanceId) is { } document)
            {
                _documents[machine.InstanceId] = document;
                _ofOlderStores.UnionWith(document.Intents.Select(intent => intent.Id));
            }

            _forgotten.UnionWith(TakenByHands.Where(address => machine.LeaseOnDisk()?.Slots.ContainsKey(address) == true));
        }
    }

    /// <summary>A call of EC2 is about to be sent. The store may have gone back to yesterday, and only the executor can show it: what a document says goes to EC2 once a report has come (ADR 0010).</summary>
    /// <remarks>Not left to what comes of it: a return of yesterday takes a pod's address only where that has come back since, which 210 seeds did not bring about.</remarks>
    public void Begins(Activation by, Ec2Action action, string target)
    {
        if (by.GrainInstance is NodeGrain && !by.HasReport && OperatorSwitches.IsChange(action) && world.Machines.Any(machine => machine.InstanceId == by.GrainId.Key.ToString() && !machine.IsGone))
        {
            Fail($"{by.Lane.Name} begins {action} {target}, and its executor has not reported to it");
        }
    }

    /// <summary>Before the step's end everything is looked at once more.</summary>
    public void Changed() => _isDirty = true;

    public void Wired(SimMachine machine, SandboxKey sandbox, Ip address)
    {
        _isDirty = true;
        if (machine.Deleted.Contains(sandbox))
        {
            Fail($"{address} is wired for {sandbox} of {machine.InstanceId}, whose DEL has succeeded already");
        }

        if (!_forgotten.Contains(address) && _goneAt.TryGetValue(address, out var gone) && world.Scheduler.Now - gone < world.Cooldown - TimeSpan.FromMilliseconds(1))
        {
            Fail($"{address} is wired for {sandbox} of {machine.InstanceId} {(world.Scheduler.Now - gone).TotalSeconds:0.0} s after its last link went: the cool-down is {world.Cooldown.TotalSeconds} s");
        }
    }

    public void LinkGone(Ip address)
    {
        _isDirty = true;
        _goneAt[address] = world.Scheduler.Now;
    }

    /// <summary>A row says who has an address now: it does not end while its pod runs. But for what its executor has refused before:
    /// such a request may arrive late, and the next report mends it.</summary>
    public void RowEnded(string instanceId, Ip address, SandboxKey sandbox)
    {
        var machine = world.Machines.First(one => one.InstanceId == instanceId);
        if (!machine.IsGone && !machine.Refused.Contains((sandbox, address)) && machine.Executor?.Link.IsClaimed(sandbox, address) == true && machine.Kernel.Links.Any(link => link.Owner == sandbox && link.Address == address && link.HasRoute))
        {
            Fail($"the row of {address} for {sandbox} of {instanceId} is ended, and the pod has the address still");
        }
    }

    /// <summary>One effect of the product's on EC2: whose interface it touches, and what it takes away.</summary>
    public void OnEc2(Ec2Action action, string target, Action effect)
    {
        if (!Core.Pool.OperatorSwitches.IsChange(action))
        {
            effect();
            return;
        }

        _isDirty = true;
        var eni = world.Vpc.Enis.FirstOrDefault(one => one.Id == target || one.Attachment?.Id == target);
        var before = eni?.Delivered.Select(Ip.From).ToArray() ?? [];
        var machine = eni?.Attachment is { } attachment ? world.Machines.FirstOrDefault(one => one.InstanceId == attachment.Instance.Id) : null;
        effect();
        if (eni is null)
        {
            return;
        }

        if (DetachedByHands.Contains(eni.Id))
        {
            TakenByHands.UnionWith(eni.Delivered.Select(Ip.From));
        }

        if (world.IsForeign(eni))
        {
            Fail($"{action} has touched {eni.Id}, which is somebody else's");
        }

        Ip[] left = action == Ec2Action.DetachNetworkInterface ? before[1..]
            : action == Ec2Action.DeleteNetworkInterface ? [] // Detached before: nothing of it is on a node.
            : [.. before.Except(eni.Delivered.Select(Ip.From))];
        foreach (var address in left.Where(address => machine is { IsGone: false }))
        {
            // What hands took from one interface, or a lost instance had, may come to another by a counted draw or by hands: it must go back at once.
            if (!TakenByHands.Contains(address) && !world.HeldByLost.Contains(address) && _goneAt.TryGetValue(address, out var gone) && world.Scheduler.Now - gone < world.Cooldown)
            {
                Fail($"{action} takes {address} from {eni.Id} {(world.Scheduler.Now - gone).TotalSeconds:0.0} s after its last link went: it has not rested");
            }

            if (machine!.LeaseOnDisk()?.Slots.GetValueOrDefault(address) is { } slot && slot.EniId == eni.Id && (slot.Leased || slot.Hold is not null))
            {
                Fail($"{action} takes {address} from {eni.Id} without the consent of {machine.InstanceId}: its lease has {slot}");
            }

            if (machine.Executor?.Link.Lease.Slots.GetValueOrDefault(address) is { } used && used.EniId == eni.Id && (used.Leased || used.Hold is not null))
            {
                Fail($"{action} takes {address} from {eni.Id}, and the executor of {machine.InstanceId} still has {used}");
            }
        }
    }

    /// <summary>What EC2 chose for a draw by count: such a draw is not sent again while an earlier try's addresses are on the interface, unseen;
    /// what hands have taken meanwhile nobody can have seen.</summary>
    public void DrawnByCount(string eniId, IEnumerable<Block> drawn)
    {
        var intent = _documents.Values.SelectMany(document => document.Intents).FirstOrDefault(one => one.Kind == IntentKind.DrawCounted && one.EniId == eniId);
        if (intent is null)
        {
            return;
        }

        Ip[] addresses = [.. drawn.SelectMany(block => block.Addresses)];
        if (_drawnByCount.TryGetValue(intent.Id, out var earlier) && world.Vpc.FindEni(eniId)!.Delivered.Select(Ip.From).Intersect(earlier.Except(TakenByHands)).Any())
        {
            Fail($"{intent.Id} has drawn {string.Join(", ", addresses)} by count for {eniId}, and has drawn {string.Join(", ", earlier)} before");
        }

        _drawnByCount[intent.Id] = addresses;
    }

    /// <summary>Hands have put these on an interface. Which of them were just being returned, a taking that ends now may have taken before (seed 442).</summary>
    public void PutByHands(IReadOnlyCollection<Ip> addresses) =>
        _putBack.UnionWith(addresses.Where(address => _documents.Values.Any(document => document.Intents.Any(intent => intent.Kind == IntentKind.Return && intent.Names.Any(name => name.Contains(address))))));

    /// <summary>A stored taking stands until EC2 shows its effect, and its addresses are in nobody's lease. One of a loose interface ends with EC2's first refusal: somebody may have taken it, and
    /// a later sweep finds it again.</summary>
    public void Stored(string instanceId, NodeDocument document)
    {
        _isDirty = true;
        CountWrite(instanceId);
        var before = _documents.GetValueOrDefault(instanceId) ?? new NodeDocument();
        _documents[instanceId] = document;
        foreach (var taking in before.Intents.Where(one => one.Kind is IntentKind.Return or IntentKind.RemoveInterface && !one.WasLoose && !_ofOlderStores.Contains(one.Id)))
        {
            var now = document.Intents.FirstOrDefault(one => one.Id == taking.Id);
            var eni = world.Vpc.FindEni(taking.EniId);
            bool Holds(Block name) => eni is not null && (name.IsPrefix ? eni.Prefixes.Any(prefix => Ip.From(prefix.BaseAddress) == name.First) : eni.Addresses.Any(one => Ip.From(one) == name.First));
            Ip[] undone = taking.Kind == IntentKind.Return
                ? [.. taking.Names.Where(name => now?.Names.Contains(name) != true && Holds(name)).SelectMany(name => name.Addresses)]
                : now is null ? [.. eni?.Delivered.Select(Ip.From) ?? []] : [];
            var outlives = (world.MadeByHands.Contains(taking.EniId) || eni is { Attachment: null }) && world.Machines.First(one => one.InstanceId == instanceId).IsGone; // Its instance, with all that it has: it is left to hands, or is a leak of ours.
            if (undone.Length > 0 && !outlives && !undone.All(address => TakenByHands.Contains(address) || _putBack.Contains(address)))
            {
                Fail($"{instanceId}: the stored taking {taking.Id} ({taking.Kind} of {string.Join(", ", undone)} from {taking.EniId}) is gone, and EC2 still shows them there");
            }
        }

        foreach (var taking in document.Intents.Where(one => one.Kind == IntentKind.RemoveInterface && world.MadeByHands.Contains(one.EniId) && before.Eni(one.EniId) is { IsLost: true }))
        {
            Fail($"{instanceId}: {taking.EniId} is being deleted, which hands have made and detached");
        }

        if (document.Interfaces.DistinctBy(eni => eni.EniId).Count() < document.Interfaces.Length)
        {
            Fail($"{instanceId}: an interface is twice in its document: {string.Join(", ", document.Interfaces.Select(eni => eni.EniId))}");
        }

        foreach (var taking in document.Intents.Where(one => one.Kind == IntentKind.Return))
        {
            foreach (var leased in document.Eni(taking.EniId)?.Addresses.Where(held => taking.Names.Any(name => name.Contains(held.Address))) ?? [])
            {
                Fail($"{instanceId}: {leased.Address} is being returned by {taking.Id} ({string.Join(", ", taking.Names)}), and leased: {taking.EniId} holds {string.Join(", ", document.Eni(taking.EniId)!.Blocks)}");
            }
        }
    }

    /// <summary>Nothing that a node has to do takes so many writes: whoever writes more runs in circles.</summary>
    private void CountWrite(string instanceId)
    {
        var (since, count) = _writes.GetValueOrDefault(instanceId);
        _writes[instanceId] = world.Scheduler.Now - since < WritesWithin ? (since, count + 1) : (world.Scheduler.Now, 1);
        if (count >= MostWrites)
        {
            Fail($"the document of {instanceId} was written {count} times within {WritesWithin.TotalSeconds} s");
        }
    }

    /// <summary>At the end of each step.</summary>
    public void Look()
    {
        if (!_isDirty)
        {
            return;
        }

        _isDirty = false;
        world.Ledgers.Changed();
        var users = new Dictionary<Ip, string>();
        foreach (var machine in world.Machines.Where(one => !one.IsGone))
        {
            foreach (var link in machine.Kernel.Links.Where(link => link.Address is not null))
            {
                var address = link.Address!.Value;
                if (!users.TryAdd(address, $"{link.Owner} of {machine.InstanceId}") && !_forgotten.Contains(address))
                {
                    Fail($"{address} is on two pods: {users[address]} and {link.Owner} of {machine.InstanceId}");
                }

                if (link.HasRoute && !TakenByHands.Contains(address) && Holder(machine, machine.Kernel.TableOf(address)) is var eni && eni?.Delivered.Any(one => Ip.From(one) == address) != true)
                {
                    Fail($"{address} is on {link.Owner} of {machine.InstanceId} by table {machine.Kernel.TableOf(address)}, and EC2 shows it not on {eni?.Id ?? "an interface there"}");
                }
            }
        }
    }

    private Eni? Holder(SimMachine machine, int table) => world.Vpc.FindInstance(machine.InstanceId) is { } instance
        ? world.Vpc.EnisOf(instance).FirstOrDefault(eni => PodWiring.TableOf(eni.Attachment!.NetworkCardIndex, eni.Attachment.DeviceIndex) == table)
        : null;

    private void Fail(string what) => world.Scheduler.Fail("INVARIANT " + what);
}
