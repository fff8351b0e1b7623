using System.Collections.Concurrent;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.Tests.Cluster.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>A node's executor as it is shipped: lease, lease file, link and HTTP/2 to the silos' doors. It has no kernel: what is wired is a dictionary.</summary>
internal sealed class FleetNode : IAsyncDisposable
{
    private static readonly TimeSpan LinkGoes = TimeSpan.FromMilliseconds(20); // As long as the kernel takes.

    private readonly Register _register;
    private readonly Lane _lane = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly LeaseFile _file;
    private readonly HttpNodeApi _http;
    private readonly LeaseLink _link;
    private readonly Task _running;
    private int _sandboxes;
    private long _turns;

    /// <param name="doors">Of the silos, in this node's order of liking.</param>
    /// <param name="isAttached">Whether EC2 has attached an interface to the node.</param>
    public FleetNode(string id, DynamoDbLocal dynamo, SiloProcesses silos, IReadOnlyList<Uri> doors, Func<InterfaceOrder, Task<bool>> isAttached, Register register)
    {
        (Id, _register) = (id, register);
        var token = Path.Combine(silos.Folder.FullName, $"{id}.token");
        File.WriteAllText(token, silos.TokenOf(id));
        _file = new LeaseFile(Path.Combine(silos.Folder.FullName, $"{id}.lease"), bootId: "test");
        var (lease, _) = NodeLease.Start(id, _file.Read(id), wired: [], BootClock.Now(TimeProvider.System));
        _file.Save(lease);
        _http = new HttpNodeApi(doors, token, caPath: null, TimeProvider.System, dynamo.ConnectAsync);
        Answers = new Answers(_http);
        _link = new LeaseLink(Answers, _file, TimeProvider.System, new LeaseLinkOptions(), lease, new Interfaces(isAttached), NullLogger.Instance);
        _running = _lane.RunAsync(() => _link.RunAsync(_stop.Token));
    }

    public string Id { get; }

    public Answers Answers { get; }

    public NodeLease Lease => _link.Lease;

    /// <summary>Sandboxes whose ADD has succeeded and whose DEL has not begun.</summary>
    public ConcurrentDictionary<SandboxKey, Ip> Wired { get; } = new();

    /// <summary>Ends when a pod could get an address.</summary>
    public Task ServableAsync(CancellationToken cancellation) => _lane.RunAsync(() => _link.WhenServableAsync(cancellation));

    /// <summary>An ADD of a new sandbox.</summary>
    /// <returns>The sandbox; with why it has failed, null when it has not.</returns>
    public async Task<(SandboxKey Sandbox, string? Failure)> AddAsync(CancellationToken cancellation)
    {
        var number = Interlocked.Increment(ref _sandboxes);
        var sandbox = new SandboxKey($"{Id}-{number}", "eth0");
        var outcome = await _lane.RunAsync(() => _link.AssignAsync(sandbox, new PodName("test", $"pod-{number}", ""), "aws-cni", ++_turns, TimeSpan.Zero, cancellation));
        if (outcome is not AddOutcome.Granted(var grant, _))
        {
            return (sandbox, ((AddOutcome.Failed)outcome).Text);
        }

        _register.Claim(Id, sandbox, grant.Address);
        Wired[sandbox] = grant.Address;
        return (sandbox, null);
    }

    /// <summary>Its DEL.</summary>
    public async Task DeleteAsync(SandboxKey sandbox)
    {
        Wired.TryRemove(sandbox, out var address);
        var ended = await _lane.RunAsync(() => _link.Delete(sandbox, ++_turns));
        if (ended?.Address != address)
        {
            _register.Refute($"{sandbox} had {address}, and its DEL ends {ended?.Address}");
        }

        await Task.Delay(LinkGoes, CancellationToken.None);
        _register.Free(address);
        await _lane.RunAsync(() =>
        {
            _link.LinkGone(sandbox, address);
            return true;
        });
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _http.Dispose();
        _file.Dispose();
        _stop.Dispose();
    }

    private sealed class Interfaces(Func<InterfaceOrder, Task<bool>> isAttached) : IHostInterfaces
    {
        public async Task<InterfaceState> SetUpAsync(InterfaceOrder order) => await isAttached(order) ? InterfaceState.Ready : InterfaceState.Absent;

        public Task<bool> LetGoAsync(InterfaceOrder order) => Task.FromResult(true);
    }
}
