using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using Microsoft.Extensions.Logging.Abstractions;

namespace AwsVpcCni.Tests.Fleet.RealTime;

/// <summary>A node's executor as it is shipped: lease, lease file, link, and a connection of its own to the silo's door. It has no kernel.</summary>
internal sealed class FleetNode : IAsyncDisposable
{
    private readonly Lane _lane = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly LeaseFile _file;
    private readonly HttpNodeApi _http;
    private readonly LeaseLink _link;
    private readonly AttachWatch? _watch;
    private Task _running = Task.CompletedTask;

    /// <param name="folder">Where its token is (<see cref="Programs.Prepared"/>), and its lease file comes to be.</param>
    /// <param name="doors">Silos or edges, in the order of liking.</param>
    /// <param name="watch">Null: it has all its interfaces from the start.</param>
    /// <param name="syncs">Counts its syncs.</param>
    public FleetNode(string id, DirectoryInfo folder, IReadOnlyList<Uri> doors, AttachWatch? watch, Syncs? syncs = null)
    {
        (Id, _watch) = (id, watch);
        _file = new LeaseFile(Path.Combine(folder.FullName, $"{id}.lease"), bootId: "fleet");
        var (lease, _) = NodeLease.Start(id, _file.Read(id), wired: [], BootClock.Now(TimeProvider.System));
        _file.Save(lease);
        _http = new HttpNodeApi(doors, Path.Combine(folder.FullName, $"{id}.token"), caPath: null, TimeProvider.System);
        _link = new LeaseLink(syncs?.Counted(_http) ?? _http, _file, TimeProvider.System, new LeaseLinkOptions(), lease, new Interfaces(id, watch), NullLogger.Instance);
    }

    public string Id { get; }

    /// <summary>ADDs that failed before the one that did not; with the last one's text.</summary>
    public int Failures { get; private set; }

    public string? LastFailure { get; private set; }

    /// <summary>Calls of its link that no silo has answered.</summary>
    public long Unanswered => _link.Snapshot().Failures;

    /// <summary>Whether all interfaces that it was told of are set up.</summary>
    public bool IsSetUp => _link.Lease is var lease && lease.Interfaces.Keys.All(lease.InterfacesSetUp.Contains);

    /// <summary>The machine boots.</summary>
    public void Start() => _running = _lane.RunAsync(() => Task.WhenAll(_link.RunAsync(_stop.Token), _watch is null ? Task.CompletedTask : _link.ListenAsync(() => _watch.NextAsync(Id), _stop.Token)));

    /// <summary>A pod; as a runtime does, once more when an ADD has failed.</summary>
    public async Task AddAsync(CancellationToken cancellation, int pod = 1)
    {
        for (var sandbox = 1; ; sandbox++)
        {
            var key = new SandboxKey($"{Id}-{pod}-{sandbox}", "eth0");
            var turn = sandbox;
            var outcome = await _lane.RunAsync(() => _link.AssignAsync(key, new PodName("fleet", $"pod-{pod}", ""), "aws-cni", turn, TimeSpan.Zero, cancellation));
            if (outcome is AddOutcome.Granted)
            {
                return;
            }

            (Failures, LastFailure) = (Failures + 1, ((AddOutcome.Failed)outcome).Text);
            await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, cancellation);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _http.Dispose();
        _file.Dispose();
        _stop.Dispose();
    }

    private sealed class Interfaces(string node, AttachWatch? watch) : IHostInterfaces
    {
        // A primary interface is there from the start.
        public Task<InterfaceState> SetUpAsync(InterfaceOrder order) =>
            Task.FromResult(watch?.IsAttached(node, order.EniId) != false ? InterfaceState.Ready : InterfaceState.Absent);

        public Task<bool> LetGoAsync(InterfaceOrder order) => Task.FromResult(true);
    }
}
