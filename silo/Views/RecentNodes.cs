using AwsVpcCni.Grains.Node;
using AwsVpcCni.Silo.Api;

namespace AwsVpcCni.Silo.Views;

/// <summary>What each node has last said, for all who ask within a second: a page of 200 costs its nodes one question a second, however many read it.</summary>
internal sealed class RecentNodes(ClusterViews views, TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, (Task<NodeSummary> Said, long Begun)> _last = new(StringComparer.Ordinal);

    /// <summary>These nodes of ours.</summary>
    public Task<NodeSummary[]> ReadAsync(IReadOnlyCollection<string> known)
    {
        Task<NodeSummary>[] asked;
        lock (_gate)
        {
            foreach (var old in _last.Where(one => one.Value.Said.IsCompleted && time.GetElapsedTime(one.Value.Begun) >= Recent<NodeSummary>.Age).Select(one => one.Key).ToArray())
            {
                _last.Remove(old);
            }

            asked = [.. known.Select(id => (_last[id] = _last.TryGetValue(id, out var last) ? last : (AskAsync(id), time.GetTimestamp())).Said)];
        }

        return Task.WhenAll(asked);
    }

    /// <summary>In limited time: all pages with the node wait for this one answer.</summary>
    private Task<NodeSummary> AskAsync(string id) => views.SummaryAsync(id).WaitAsync(LocalDoor.CallDeadline, time);
}
