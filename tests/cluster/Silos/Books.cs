using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Tests.Cluster.Storage;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>Compares what rows, documents, EC2 and executors say of a node. They follow each other within seconds; of a row that a silo has
/// written when its grains had moved they hear when they want the address, or when they read their rows again.</summary>
internal sealed class Books(DynamoDbStore store, Ec2Process ec2)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(6); // A node's grain reads its rows again after five.

    private HashSet<(Ip, string)> _unheard = [];

    /// <summary>Rows and claims of each node have been the same at one moment.</summary>
    /// <exception cref="TimeoutException">What differs.</exception>
    public Task RowsAgreeAsync(IEnumerable<FleetNode> nodes, CancellationToken cancellation) =>
        Task.WhenAll(nodes.Select(node => UntilAsync(node, () => WhyRowsDifferAsync(node, cancellation), cancellation)));

    /// <summary>Also document, EC2 and lease; of a node where nothing happens.</summary>
    /// <exception cref="TimeoutException">What differs.</exception>
    public Task AllAgreesAsync(IEnumerable<FleetNode> nodes, CancellationToken cancellation) => Task.WhenAll(nodes.Select(node => UntilAsync(
        node, async () => await WhyRowsDifferAsync(node, cancellation) ?? await WhyDocumentDiffersAsync(node, cancellation), cancellation)));

    /// <summary>What has been drawn and no executor has heard of, while no silo runs: a store of an earlier moment does not know it, so that it stays where
    /// it is as if hands had added it (ADR 0010). From now on it may be in EC2 alone.</summary>
    /// <returns>How many addresses.</returns>
    public async Task<int> NoteUnheardAsync(IEnumerable<FleetNode> nodes, CancellationToken cancellation)
    {
        _unheard = await InEc2Async(_ => true, cancellation);
        _unheard.ExceptWith(nodes.SelectMany(InLease));
        return _unheard.Count;
    }

    public async Task<AddressRow?> RowOfAsync(string instanceId, Ip address, CancellationToken cancellation) =>
        (await store.Book().ReadNodeAsync(instanceId, cancellation)).FirstOrDefault(row => row.Address == address);

    public async Task<NodeDocument> DocumentOfAsync(string instanceId)
    {
        var stored = new GrainState<NodeDocument>();
        await store.Documents().ReadStateAsync("node", GrainId.Create("node", instanceId), stored);
        return stored.State!;
    }

    private async Task<string?> WhyRowsDifferAsync(FleetNode node, CancellationToken cancellation)
    {
        var claims = Claims();
        var rows = (await store.Book().ReadNodeAsync(node.Id, cancellation)).Where(row => row.Released is null).Select(row => (row.Address, row.Sandbox)).ToHashSet();
        return !claims.SetEquals(Claims()) ? "it changes"
            : !rows.SetEquals(claims) ? $"rows {Text(rows)}, lease {Text(claims)}"
            : !claims.SetEquals(node.Wired.Select(pod => (pod.Value, pod.Key))) ? $"lease {Text(claims)}, wired {string.Join(' ', node.Wired)}"
            : null;

        HashSet<(Ip, SandboxKey)> Claims() => [.. node.Lease.Claims.Select(claim => (claim.Value, claim.Key))];
    }

    private async Task<string?> WhyDocumentDiffersAsync(FleetNode node, CancellationToken cancellation)
    {
        var document = await DocumentOfAsync(node.Id);
        var inEc2 = await InEc2Async(instanceId => instanceId == node.Id, cancellation);
        var inDocument = document.Interfaces.SelectMany(eni => eni.Addresses, (eni, held) => (held.Address, eni.EniId)).ToHashSet();
        var inLease = InLease(node).ToHashSet();
        inEc2.ExceptWith(_unheard.Except(inDocument));
        return document.Intents.Any(intent => intent.Kind != IntentKind.Unknown) ? $"intents {string.Join(' ', document.Intents.Select(intent => intent.Kind))}"
            : !inEc2.SetEquals(inDocument) ? $"EC2 {Text(inEc2)}, document {Text(inDocument)}"
            : !inLease.SetEquals(inDocument) ? $"lease {Text(inLease)}, document {Text(inDocument)}"
            : null;
    }

    private async Task<HashSet<(Ip, string)>> InEc2Async(Func<string?, bool> isOf, CancellationToken cancellation) =>
        [.. (await ec2.StateAsync(cancellation)).Interfaces.Where(eni => isOf(eni.Instance)).SelectMany(eni => eni.Addresses.Skip(1), (eni, address) => (Ip.Parse(address), eni.Id))];

    private static IEnumerable<(Ip, string)> InLease(FleetNode node) => node.Lease.Slots.Where(slot => slot.Value.Leased).Select(slot => (slot.Key, slot.Value.EniId));

    private static async Task UntilAsync(FleetNode node, Func<Task<string?>> why, CancellationToken cancellation)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (await why() is { } differs)
        {
            if (TimeProvider.System.GetElapsedTime(began) > Patience)
            {
                throw new TimeoutException($"{node.Id} after {Patience.TotalSeconds} s: {differs}");
            }

            await Task.Delay(200, cancellation);
        }
    }

    private static string Text<T>(HashSet<T> set) => string.Join(' ', set.Select(one => $"{one}").Order(StringComparer.Ordinal));
}
