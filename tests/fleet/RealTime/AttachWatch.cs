namespace AwsVpcCni.Tests.Fleet.RealTime;

/// <summary>Stands in for the nodes' kernels: says when EC2 has attached an interface. It looks at the emulator four times a second while a node waits for one.</summary>
internal sealed class AttachWatch(Programs programs) : IAsyncDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(250);

    private readonly Lock _lock = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly HashSet<string> _wanted = [];
    private readonly Dictionary<string, TaskCompletionSource> _changes = [];
    private HashSet<(string Eni, string? Node)> _attached = [];
    private Task _watching = Task.CompletedTask;

    public void Start() => _watching = Task.Run(WatchAsync);

    public bool IsAttached(string node, string eni)
    {
        lock (_lock)
        {
            if (_attached.Contains((eni, node)))
            {
                return true;
            }

            _wanted.Add(eni);
            return false;
        }
    }

    /// <summary>Ends when an interface of the node has come.</summary>
    public Task NextAsync(string node)
    {
        lock (_lock)
        {
            if (!_changes.TryGetValue(node, out var change) || change.Task.IsCompleted)
            {
                _changes[node] = change = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }

            return change.Task;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watching.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task WatchAsync()
    {
        while (true)
        {
            await Task.Delay(Period, TimeProvider.System, _stop.Token);
            lock (_lock)
            {
                if (_wanted.Count == 0)
                {
                    continue;
                }
            }

            Saw([.. (await programs.StateAsync(_stop.Token)).Interfaces.Where(eni => eni.Attachment == "attached").Select(eni => (eni.Id, eni.Instance))]);
        }
    }

    private void Saw(HashSet<(string Eni, string? Node)> attached)
    {
        lock (_lock)
        {
            var come = attached.Except(_attached).ToList();
            _attached = attached;
            foreach (var (eni, node) in come)
            {
                _wanted.Remove(eni);
                if (_changes.GetValueOrDefault(node!) is { } change)
                {
                    change.TrySetResult();
                }
            }
        }
    }
}
