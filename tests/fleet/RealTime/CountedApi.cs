using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;

namespace AwsVpcCni.Tests.Fleet.RealTime;

/// <summary>Counts syncs on their way to the door, for all nodes together.</summary>
internal sealed class Syncs
{
    private long _answered;
    private long _failed;

    public (long Answered, long Failed) Counts => (Interlocked.Read(ref _answered), Interlocked.Read(ref _failed));

    public INodeApi Counted(INodeApi api) => new CountedApi(api, this);

    private sealed class CountedApi(INodeApi api, Syncs syncs) : INodeApi
    {
        public string? Silo => api.Silo;

        public Task<AssignReply> AssignAsync(AssignRequest request, CancellationToken cancellation) => api.AssignAsync(request, cancellation);

        public Task<ReleaseReply> ReleaseAsync(ReleaseRequest request, CancellationToken cancellation) => api.ReleaseAsync(request, cancellation);

        public Task ListenAsync(Action hint, CancellationToken cancellation) => api.ListenAsync(hint, cancellation);

        public async Task<NodeOrders> SyncAsync(NodeReport report, CancellationToken cancellation)
        {
            try
            {
                var orders = await api.SyncAsync(report, cancellation);
                Interlocked.Increment(ref syncs._answered);
                return orders;
            }
            catch
            {
                Interlocked.Increment(ref syncs._failed);
                throw;
            }
        }
    }
}
