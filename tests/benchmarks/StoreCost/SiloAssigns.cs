using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Tests.Cluster.Silos;
using AwsVpcCni.Tests.Cluster.Storage;

namespace AwsVpcCni.Benchmarks.StoreCost;

/// <summary>Our side: ADDs of nodes through the node API of one silo, over HTTP/2 in cleartext, each node with a connection and a token of its own.</summary>
internal sealed class SiloAssigns : IDisposable
{
    private readonly Node[] _nodes;
    private readonly int _addresses;

    private SiloAssigns(Node[] nodes, int addresses)
    {
        (_nodes, _addresses) = (nodes, addresses);
        Rounds = new Rounds([.. nodes.Select(node => node.Id)], addresses, StoreBenchmark.InFlight, (n, row) => nodes[n % nodes.Length].AssignAsync(row), FreeAllAsync);
    }

    public Rounds Rounds { get; }

    /// <summary>Answers when each node has its addresses.</summary>
    public static async Task<SiloAssigns> JoinAsync(DynamoDbLocal dynamo, SiloProcesses silos, StoreSize size, CancellationToken cancellation)
    {
        var assigns = new SiloAssigns([.. size.Nodes.Select(id => new Node(id, dynamo.Http(), silos.TokenOf(id)))], size.Addresses);
        try
        {
            await Task.WhenAll(assigns._nodes.Select(node =>
                silos.UntilAsync($"{node.Id} to have its addresses", async () => await node.SyncAsync(cancellation) == size.Addresses, cancellation)));
        }
        catch
        {
            assigns.Dispose();
            throw;
        }

        return assigns;
    }

    public void Dispose() => Array.ForEach(_nodes, node => node.Dispose());

    private async Task FreeAllAsync()
    {
        // 32 at once here too: each half of the nodes, one after the other.
        foreach (var some in _nodes.Chunk(StoreBenchmark.InFlight))
        {
            await Task.WhenAll(some.Select(node => node.FreeAllAsync(_addresses)));
        }
    }

    /// <summary>What an executor says of itself, without one: no lease file, no kernel.</summary>
    private sealed class Node(string id, HttpClient http, string token) : IDisposable
    {
        private readonly Calls _calls = new(http, _ => token);
        private readonly List<(SandboxKey Sandbox, AssignReply.Offered Offer)> _given = [];
        private NodeOrders? _orders;
        private long _number;

        public string Id => id;

        private Stamp Next() => new(_orders!.Incarnation, Interlocked.Increment(ref _number));

        /// <summary>Reports that no pod is there and nothing is under way, and all interfaces are set up.</summary>
        /// <returns>How many addresses it has reported to have.</returns>
        public async Task<int> SyncAsync(CancellationToken cancellation)
        {
            var (before, stamp) = (_orders, _orders is null ? default : Next());
            _orders = await _calls.SyncAsync(StoreBenchmark.Door, id, new NodeReport
            {
                Stamp = stamp,
                SettledNumber = stamp.Number,
                LeaseVersion = before?.LeaseVersion ?? 0,
                Leased = [.. (before?.Lease ?? []).Select(one => one.Address)],
                Claims = [],
                Waiting = [],
                Freed = [],
                Ended = [],
                InterfacesSetUp = [.. (before?.Interfaces ?? []).Select(one => one.EniId)],
            }, cancellation) ?? _orders;
            return before?.Lease.Length ?? 0;
        }

        /// <exception cref="InvalidOperationException">It gets none.</exception>
        public async Task AssignAsync(AddressRow row)
        {
            var reply = await _calls.AssignAsync(StoreBenchmark.Door, id, new AssignRequest(Next(), row.Sandbox, row.Pod, []), CancellationToken.None);
            if (reply is not AssignReply.Offered offer)
            {
                throw new InvalidOperationException($"{id}: a pod gets no address: {reply?.ToString() ?? "the door has refused"}");
            }

            lock (_given)
            {
                _given.Add((row.Sandbox, offer));
            }
        }

        /// <summary>A DEL after the other, and a report as after each change.</summary>
        public async Task FreeAllAsync(int addresses)
        {
            if (_given.DistinctBy(one => one.Offer.Address).Count() != addresses || _given.Count != addresses)
            {
                throw new InvalidOperationException($"{id}: {_given.Count} pods have {_given.DistinctBy(one => one.Offer.Address).Count()} addresses; {addresses} are right.");
            }

            foreach (var (sandbox, offer) in _given)
            {
                if (await _calls.ReleaseAsync(StoreBenchmark.Door, id, new ReleaseRequest(Next(), sandbox, offer.Address, FreedSeconds: 0), CancellationToken.None) is not { Known: true })
                {
                    throw new InvalidOperationException($"{id}: {sandbox} is not released.");
                }
            }

            _given.Clear();
            await SyncAsync(CancellationToken.None);
        }

        public void Dispose() => http.Dispose();
    }
}
