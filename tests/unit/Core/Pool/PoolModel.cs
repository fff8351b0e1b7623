using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Instances;
using AwsVpcCni.Core.Pool;

namespace AwsVpcCni.Tests.Unit.Core.Pool;

/// <summary>A node whose EC2 does at once what the planner asks, and whose pods take the address that the picker would.</summary>
internal sealed class PoolModel(InstanceLimits limits, PoolPolicy policy)
{
    private const int MostTurns = 200;
    private readonly List<Eni> _enis = [new("eni-0", "subnet-0")];
    private readonly Dictionary<string, SubnetRoom> _rooms = new() { ["subnet-0"] = new("subnet-0") };
    private int _next;

    public PoolPolicy Policy { get; set; } = policy;

    public int Waiting { get; private set; }

    /// <summary>Asked back once.</summary>
    public int Recalled { get; set; }

    /// <summary>Calls that EC2 would have seen; a new interface is three, one that goes two.</summary>
    public int Calls { get; private set; }

    public List<PoolAction> Done { get; } = [];

    public int Total => _enis.Sum(eni => eni.Blocks.Sum(block => block.Block.Size));

    public int Pods => _enis.Sum(eni => eni.Blocks.Sum(block => block.OnPods));

    /// <summary>How many blocks each interface holds: what section 2.12 (b) lists.</summary>
    public string Shape => $"[{string.Join(',', _enis.Select(eni => eni.Blocks.Count))}]";

    public IEnumerable<Block> Blocks => _enis.SelectMany(eni => eni.Blocks).Select(block => block.Block);

    public void Room(SubnetRoom room) => _rooms[room.SubnetId] = room;

    public NodeState State() => new()
    {
        Enis = [.. _enis.Select((eni, index) => new EniState
        {
            EniId = eni.Id, MayGo = index > 0 && !eni.Pinned, ForPods = index > 0 || !Policy.CustomNetworking, Blocks = [.. eni.Blocks],
            Room = limits.SlotsPerInterface - eni.Blocks.Count, Subnet = _rooms[eni.SubnetId] with { Recalled = Recalled },
        })],
        Slots = limits.SlotsPerInterface, TakesPrefixes = limits.TakesPrefixes, WaitingPods = Waiting,
        NewInterfaces = Math.Max(0, Math.Min(limits.MaxInterfaces, Policy.MaxEnis ?? int.MaxValue) - _enis.Count),
        NewIn = [.. _rooms.Values],
    };

    /// <summary>Another interface that the planner must leave alone.</summary>
    public void AddPinned() => _enis.Add(new Eni($"eni-{++_next}", "subnet-0") { Pinned = true });

    /// <summary>Turn by turn until the planner wants nothing more.</summary>
    public void Settle()
    {
        for (var turn = 0; turn < MostTurns; turn++)
        {
            PlaceWaiting();
            var plan = PoolPlanner.Plan(State(), Policy);
            if (plan.IsEmpty)
            {
                return;
            }

            foreach (var action in plan)
            {
                Apply(action);
            }
        }

        throw new InvalidOperationException($"not settled after {MostTurns} turns: {Shape}, {Waiting} wait, next {string.Join(", ", PoolPlanner.Plan(State(), Policy))}");
    }

    public void PodsTo(int pods)
    {
        for (; Pods + Waiting < pods; Settle())
        {
            Waiting++;
        }

        for (; Pods > pods; Settle())
        {
            RemovePod();
        }
    }

    public void Burst(int pods)
    {
        Waiting += pods;
        Settle();
    }

    private void RemovePod()
    {
        var (eni, index) = (from one in _enis from i in Enumerable.Range(0, one.Blocks.Count) where one.Blocks[i].OnPods > 0 orderby one.Blocks[i].Block descending select (one, i)).First();
        eni.Blocks[index] = Now(eni.Blocks[index], -1);
    }

    private void PlaceWaiting()
    {
        while (Waiting > 0 && _enis.SelectMany(eni => eni.Blocks.Select((block, index) => (Eni: eni, Block: block, Index: index))).Where(one => one.Block.Free > 0)
            .OrderByDescending(one => one.Eni.Blocks.Sum(block => block.OnPods)).ThenByDescending(one => one.Block.OnPods).ThenBy(one => one.Block.Block)
            .Select(one => ((Eni Eni, int Index)?)(one.Eni, one.Index)).FirstOrDefault() is var (eni, index))
        {
            eni.Blocks[index] = Now(eni.Blocks[index], 1);
            Waiting--;
        }
    }

    private static BlockState Now(BlockState block, int more) => block with { OnPods = block.OnPods + more, Ripe = block.OnPods + more == 0 };

    private void Apply(PoolAction action)
    {
        Done.Add(action);
        switch (action)
        {
            case PoolAction.Draw draw:
                Calls++;
                Fill(_enis.Single(eni => eni.Id == draw.EniId), draw.Count, draw.Prefixes);
                break;
            case PoolAction.AddInterface add:
                Calls += 3;
                _enis.Add(new Eni($"eni-{++_next}", add.SubnetId));
                Fill(_enis[^1], add.Count, add.Prefixes);
                break;
            case PoolAction.GiveUp giveUp:
                Recalled = 0;
                foreach (var eni in _enis)
                {
                    Calls += eni.Blocks.RemoveAll(block => giveUp.Blocks.Contains(block.Block)) > 0 ? 1 : 0;
                }

                break;
            case PoolAction.RemoveInterface remove:
                Calls += 2;
                _enis.RemoveAll(eni => eni.Id == remove.EniId);
                break;
        }
    }

    private void Fill(Eni eni, int count, bool prefixes)
    {
        for (; count > 0; count--)
        {
            eni.Blocks.Add(new BlockState(new Block(new Ip((UInt128)(++_next * 16), false), prefixes), 0, 0, true));
        }
    }

    private sealed record Eni(string Id, string SubnetId)
    {
        public bool Pinned { get; init; }

        public List<BlockState> Blocks { get; } = [];
    }
}
