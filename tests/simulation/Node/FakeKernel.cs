using System.Runtime.InteropServices;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Wiring;
using AwsVpcCni.Tests.Simulation.Faults;
using AwsVpcCni.Tests.Simulation.Scheduling;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.Tests.Simulation.Node;

/// <summary>One host veth.</summary>
/// <param name="Owner">Of its alias; null while it has none.</param>
/// <param name="Netns">Of the pod: it goes with it.</param>
/// <param name="HasRoute">Traffic to the address reaches the pod.</param>
internal sealed record KernelLink(string Name, SandboxKey? Owner, Ip? Address, DateTimeOffset Since, string Pod, long Netns, bool HasRoute);

/// <summary>What is wired on one node. Outlives executors; a pod's link goes with its namespace.</summary>
internal sealed class FakeKernel(Scheduler scheduler, Swarm faults) : IWirer
{
    private static readonly TimeSpan LinkRemoval = TimeSpan.FromMilliseconds(19); // Measured on a real kernel.

    private readonly SortedDictionary<string, KernelLink> _links = new(StringComparer.Ordinal);
    private readonly SortedDictionary<Ip, int> _rules = [];
    private readonly HashSet<long> _namespaces = [];

    /// <summary>A link gets a route to this address.</summary>
    public Action<SandboxKey, Ip, int>? Wired { get; set; }

    /// <summary>A link with this address is gone.</summary>
    public Action<Ip>? Gone { get; set; }

    public IEnumerable<KernelLink> Links => _links.Values;

    public int TableOf(Ip address) => _rules.GetValueOrDefault(address, PodWiring.MainTable);

    public bool HasRules => _rules.Count > 0;

    public SafeHandle OpenNamespace(long netns)
    {
        _namespaces.Add(netns);
        return new SafeFileHandle((nint)netns, ownsHandle: false);
    }

    /// <summary>The pod's end goes, and the host's with it; rules stay.</summary>
    public void EndNamespace(long netns)
    {
        _namespaces.Remove(netns);
        foreach (var link in _links.Values.Where(link => link.Netns == netns).ToArray())
        {
            Remove(link);
        }
    }

    /// <summary>The machine starts anew.</summary>
    public void Restart()
    {
        _namespaces.Clear();
        _rules.Clear();
        foreach (var link in _links.Values.ToArray())
        {
            Remove(link);
        }
    }

    /// <summary>The machine is gone.</summary>
    public void Clear()
    {
        _links.Clear();
        _rules.Clear();
    }

    /// <summary>A moment later; whoever has the name keeps it.</summary>
    public Task<IPodPair?> MakeAsync(PodVeth veth, SafeHandle netns, TimeSpan deadline)
    {
        scheduler.RequireLane("a pair's making");
        var id = (long)netns.DangerousGetHandle();
        var made = new TaskCompletionSource<IPodPair?>(); // Plain: completed from the event loop.
        scheduler.After(faults.Latency(), () =>
        {
            KernelLink? link = null;
            var can = _namespaces.Contains(id) && !_links.ContainsKey(veth.HostVeth) && !faults.Strikes(FaultKind.KernelRefuses);
            if (can)
            {
                link = _links[veth.HostVeth] = new KernelLink(veth.HostVeth, null, null, default, "", id, HasRoute: false);
            }

            scheduler.After(faults.Latency(), () => made.TrySetResult(link is null ? null : new Pair(link)));
        });
        return made.Task;
    }

    public Task DiscardAsync(IPodPair pair, TimeSpan deadline)
    {
        scheduler.RequireLane("a pair's end");
        if (faults.Strikes(FaultKind.KernelRefuses))
        {
            return Task.FromException(new WiringException("a pair cannot be removed: timed out", isUndone: false, null));
        }

        var link = ((Pair)pair).Link;
        if (_links.GetValueOrDefault(link.Name) == link)
        {
            Remove(link);
        }

        return Task.CompletedTask;
    }

    public WiredPod Wire(PodWiring wiring, SafeHandle netns, TimeSpan deadline, IPodPair? made = null)
    {
        scheduler.RequireLane("a wiring");
        var id = (long)netns.DangerousGetHandle();
        if (made is Pair { Link: var link } && _links.GetValueOrDefault(link.Name) != link)
        {
            throw new WiringException($"{wiring.Sandbox}: no such device", isUndone: true, null); // Its namespace is gone, or a pod of its name has come.
        }

        if (!_namespaces.Contains(id))
        {
            throw new WiringException($"{wiring.Sandbox}: the pod's network namespace is gone", isUndone: true, null);
        }

        if (faults.Strikes(FaultKind.KernelRefuses))
        {
            _links.Remove(made is Pair refused ? refused.Link.Name : "");
            throw new WiringException($"{wiring.Sandbox}: no buffer space available", isUndone: true, null);
        }

        SandboxKey? displaced = null;
        if (made is null && _links.GetValueOrDefault(wiring.HostVeth) is { } old)
        {
            displaced = old.Owner != wiring.Sandbox ? old.Owner : null;
            Remove(old);
        }

        if (faults.Strikes(FaultKind.KernelHalf))
        {
            _links[wiring.HostVeth] = new KernelLink(wiring.HostVeth, null, null, default, "", id, HasRoute: false);
            throw new WiringException($"{wiring.Sandbox}: timed out, and so did the undoing", isUndone: false, null);
        }

        _links[wiring.HostVeth] = new KernelLink(wiring.HostVeth, wiring.Sandbox, wiring.Address, wiring.Alias.Since, wiring.Alias.Pod, id, HasRoute: true);
        _rules[wiring.Address] = wiring.RouteTable;
        Wired?.Invoke(wiring.Sandbox, wiring.Address, wiring.RouteTable);
        return new WiredPod(wiring.HostVeth, "02:00:00:00:00:01", "02:00:00:00:00:02", displaced);
    }

    public Task Unwire(WiredSandbox wired, TimeSpan deadline)
    {
        scheduler.RequireLane("an unwiring");
        if (faults.Strikes(FaultKind.KernelRefuses))
        {
            throw new WiringException($"{wired.Sandbox}: timed out", isUndone: false, null);
        }

        var link = wired.HostVeth is null ? null : _links.GetValueOrDefault(wired.HostVeth);
        if (link is not null && !(link.Owner is { } owner ? owner == wired.Sandbox : wired.Sandbox is null || wired.MayLackAlias))
        {
            link = null; // A pod of the same name, with a container of its own.
        }

        if (wired.Address is { } address)
        {
            if (_links.Values.FirstOrDefault(other => other.HasRoute && other.Address == address) is { } used && used.Name != link?.Name)
            {
                throw new WiringException($"{address} is routed to {used.Name}, which is not the sandbox's", isUndone: false, null);
            }

            _rules.Remove(address);
        }

        if (link is null)
        {
            return Task.CompletedTask;
        }

        _links[link.Name] = link = link with { HasRoute = link.HasRoute && link.Address != wired.Address };
        var gone = new TaskCompletionSource(); // Plain: completed from the event loop.
        scheduler.After(LinkRemoval, () =>
        {
            if (_links.GetValueOrDefault(link.Name) == link)
            {
                Remove(link);
            }

            gone.TrySetResult();
        });
        return gone.Task;
    }

    public bool HasLink(string name, TimeSpan deadline) => _links.ContainsKey(name);

    public IReadOnlyList<WiredSandbox> Read(TimeSpan deadline)
    {
        scheduler.RequireLane("a look at the kernel");
        if (faults.Strikes(FaultKind.KernelRefuses))
        {
            throw new WiringException("what is wired cannot be read: timed out", isUndone: true, null);
        }

        return [.. ReadAll()];
    }

    /// <summary>The same for the world's own eyes.</summary>
    public IEnumerable<WiredSandbox> ReadAll()
    {
        foreach (var link in _links.Values)
        {
            yield return new WiredSandbox(link.Owner, link.Name, link.Address, link.Address is { } address ? TableOf(address) : PodWiring.MainTable, link.Owner is null ? null : link.Since, link.Pod);
        }

        foreach (var (address, table) in _rules.Where(rule => !_links.Values.Any(link => link.Address == rule.Key)))
        {
            yield return new WiredSandbox(null, null, address, table, null, "");
        }
    }

    private sealed record Pair(KernelLink Link) : IPodPair
    {
        public void Dispose()
        {
        }
    }

    private void Remove(KernelLink link)
    {
        _links.Remove(link.Name);
        if (link.Address is { } address)
        {
            Gone?.Invoke(address);
        }
    }
}
