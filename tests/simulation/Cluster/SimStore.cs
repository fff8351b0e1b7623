using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Tests.Cluster.Grains;
using AwsVpcCni.Tests.Simulation.Faults;
using AwsVpcCni.Tests.Simulation.Scheduling;
using Orleans.Serialization.Invocation;

namespace AwsVpcCni.Tests.Simulation.Cluster;

/// <summary>The stores, at a distance: each call takes time, may be refused, and may have happened though its answer is lost.</summary>
internal sealed class SimStore(Scheduler scheduler, Swarm faults)
{
    /// <summary>As Storage:AttemptDeadline has it: the provider gives up, whatever the store does later.</summary>
    private static readonly TimeSpan Deadline = TimeSpan.FromMilliseconds(150);

    public MemoryDocuments Documents { get; } = new();

    public MemoryAddressBook Book { get; } = new(() => WallClock.Begin + scheduler.Now);

    /// <summary>Told of each document as it is written, and of the request that has done it, if that is known.</summary>
    public Action<string, object, IInvokable?>? Written { get; set; }

    /// <summary>Told of each row that is ended.</summary>
    public Action<string, Ip, SandboxKey>? Released { get; set; }

    public Task<(string? Json, string Etag)> ReadAsync(Activation activation, string name) =>
        CallAsync($"read {name} {activation.GrainId.Key}", () => Documents.Read(name, activation.GrainId), default);

    public Task<string> WriteAsync(Activation activation, string name, string? json, object? state, string? etag)
    {
        var request = activation.Serves;
        return CallAsync($"write {name} {activation.GrainId.Key} over {etag}", () =>
        {
            var written = Documents.Write(name, activation.GrainId, json, etag);
            Written?.Invoke(activation.GrainId.Key.ToString()!, state!, request);
            return written;
        }, default);
    }

    public IAddressBook BookOf() => new RemoteBook(this);

    public StoreCopy Copy() => new(scheduler.Now, Documents.Copy(), Book.Copy());

    public void Restore(StoreCopy copy)
    {
        Documents.Restore(copy.Documents);
        Book.Restore(copy.Rows);
    }

    private Task<T> CallAsync<T>(string what, Func<T> effect, CancellationToken cancellation)
    {
        var slow = faults.Strikes(FaultKind.StoreSlow) ? scheduler.Between(TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(600)) : TimeSpan.Zero;
        var (before, after) = (faults.Latency() + slow, faults.Latency());
        var lost = new StoreException($"{what}: no answer within {Deadline.TotalMilliseconds} ms");
        if (before + after > Deadline)
        {
            // The provider has given up by then; the effect comes all the same.
            var answer = scheduler.CallAsync(what, new CallFate(Deadline, TimeSpan.Zero, lost), effect, cancellation);
            _ = scheduler.CallAsync(what + " (late)", new CallFate(before, null), effect, default);
            return answer;
        }

        return scheduler.CallAsync(what, faults.Strikes(FaultKind.StoreRefuses) ? new CallFate(before, after, new StoreException($"{what}: refused"))
            : faults.Strikes(FaultKind.StoreAnswerLost) ? new CallFate(before, Deadline - before, null, lost)
            : new CallFate(before, after), effect, cancellation);
    }

    private sealed class RemoteBook(SimStore store) : IAddressBook
    {
        public Task<ImmutableArray<AddressRow>> ReadNodeAsync(string nodeId, CancellationToken cancellation) =>
            store.CallAsync($"rows of {nodeId}", () => store.Book.ReadNodeAsync(nodeId, default).GetAwaiter().GetResult(), cancellation);

        public Task<AddressRow?> TryAssignAsync(AddressRow row, CancellationToken cancellation) =>
            store.CallAsync($"row {row.NodeId} {row.Address} {row.Sandbox}", () => store.Book.TryAssignAsync(row, default).GetAwaiter().GetResult(), cancellation);

        public Task<bool> TryReleaseAsync(AddressRow ended, CancellationToken cancellation) => EndAsync("release", store.Book.TryReleaseAsync, ended, cancellation);

        public Task<bool> TryWithdrawAsync(AddressRow offer, CancellationToken cancellation) => EndAsync("withdraw", store.Book.TryWithdrawAsync, offer, cancellation);

        private Task<bool> EndAsync(string how, Func<AddressRow, CancellationToken, Task<bool>> end, AddressRow ended, CancellationToken cancellation) =>
            store.CallAsync($"{how} {ended.NodeId} {ended.Address} {ended.Sandbox} {ended.Stamp.Incarnation}.{ended.Stamp.Number}", () =>
            {
                var isReleased = end(ended, default).GetAwaiter().GetResult();
                if (isReleased)
                {
                    store.Released?.Invoke(ended.NodeId, ended.Address, ended.Sandbox);
                }

                return isReleased;
            }, cancellation);

        public Task<bool> TryRemoveAsync(string nodeId, Ip address, CancellationToken cancellation) =>
            store.CallAsync($"remove row {nodeId} {address}", () => store.Book.TryRemoveAsync(nodeId, address, default).GetAwaiter().GetResult(), cancellation);

        public Task<ImmutableArray<AddressRow>> ReadHistoryAsync(Ip address, DateTimeOffset from, DateTimeOffset to, CancellationToken cancellation) =>
            store.CallAsync($"history of {address}", () => store.Book.ReadHistoryAsync(address, from, to, default).GetAwaiter().GetResult(), cancellation);
    }
}

/// <summary>All that the store had at one moment.</summary>
/// <param name="At">Null: before the beginning.</param>
internal sealed record StoreCopy(TimeSpan? At, KeyValuePair<(string Name, GrainId Grain), (int Etag, string? Json)>[] Documents, AddressRow[] Rows)
{
    public static StoreCopy Nothing { get; } = new(null, [], []);
}
