using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Wiring;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>What is wired for whom, and its removal: the lease hears of a link's end when the kernel confirms it.</summary>
internal sealed partial class PodLinks(IWirer wirer, Lane lane, LeaseLink link, TimeProvider time, ILogger log)
{
    private const int RemovalAttempts = 10; // With pauses of up to a minute: some five minutes. The next start tries again.
    private static readonly TimeSpan KernelDeadline = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<SandboxKey, Wired> wired = new(); // One a sandbox of the node.
    private readonly ConcurrentDictionary<Task, byte> removals = new();

    /// <summary>A sandbox's links as the kernel showed them at the start.</summary>
    internal void Found(SandboxKey sandbox, WiredSandbox links) => wired[sandbox] = new Wired(links, null);

    /// <summary>What an ADD of this process has made; null when it has made nothing.</summary>
    internal WiredPod? ResultOf(SandboxKey sandbox) => wired.GetValueOrDefault(sandbox)?.Pod;

    /// <summary>The host's end of a sandbox's pair; null when none is known.</summary>
    internal string? HostVethOf(SandboxKey sandbox) => wired.GetValueOrDefault(sandbox)?.Links.HostVeth;

    /// <summary>Makes a pod's pair of links while its ADD asks for an address. End it by <see cref="DiscardAsync"/> if none comes.</summary>
    internal Task<IPodPair?> MakeAsync(PodVeth veth, SafeHandle netns) => wirer.MakeAsync(veth, netns, KernelDeadline);

    /// <summary>Removes a pair that gets no address.</summary>
    internal async Task DiscardAsync(Task<IPodPair?> making)
    {
        if (await making is { } pair)
        {
            try
            {
                await wirer.DiscardAsync(pair, KernelDeadline);
            }
            catch (WiringException e)
            {
                LogNotDiscarded(e.Message);
            }
        }
    }

    /// <exception cref="WiringException">It could not be wired.</exception>
    internal WiredPod Wire(PodWiring wiring, SafeHandle netns, IPodPair? made = null)
    {
        var links = WiredSandbox.Of(wiring);
        wired[wiring.Sandbox] = new Wired(links with { MayLackAlias = true }, null); // Before: what a failed wiring leaves must be found.
        var pod = wirer.Wire(wiring, netns, KernelDeadline, made);
        wired[wiring.Sandbox] = new Wired(links, pod);
        if (pod.Displaced is { } older)
        {
            LogDisplaced(older, wiring.Sandbox, pod.HostVeth);
        }

        return pod;
    }

    /// <summary>Takes rules and route away now and the link soon. What the kernel refuses is tried again; the address is held meanwhile.</summary>
    /// <remarks>The links stay known until the kernel has confirmed: a second removal must not miss them, and free the address too early.</remarks>
    internal void Remove(SandboxKey sandbox, Ip address)
    {
        var known = wired.GetValueOrDefault(sandbox)?.Links;
        Remove(sandbox, known?.Address == address ? known : new WiredSandbox(sandbox, null, address, PodWiring.MainTable, null, ""), address);
    }

    /// <summary>The same for links that the kernel showed at the start and that belong to nobody.</summary>
    /// <param name="address">Under which the lease holds it; null when it holds nothing.</param>
    internal void Remove(SandboxKey holder, WiredSandbox links, Ip? address)
    {
        Task first;
        try
        {
            first = wirer.Unwire(links, KernelDeadline);
        }
        catch (WiringException e)
        {
            first = Task.FromException(e);
        }

        var removal = FinishAsync(first, holder, links, address);
        removals[removal] = 0;
        _ = removal.ContinueWith(done => removals.TryRemove(done, out _), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    /// <summary>Ends when nothing is being removed any more, or the time is over.</summary>
    internal async Task DrainAsync(TimeSpan most)
    {
        try
        {
            await Task.WhenAll(removals.Keys).WaitAsync(most, time);
        }
        catch (TimeoutException)
        {
            // The next start finds these links.
        }
    }

    private async Task FinishAsync(Task removed, SandboxKey holder, WiredSandbox links, Ip? address)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await removed;
                break;
            }
            catch (WiringException e) when (attempt < RemovalAttempts)
            {
                LogNotRemoved(holder, e.Message);
            }
            catch (WiringException e)
            {
                LogGivenUp(holder, address, e.Message);
                return;
            }

            await Task.Delay(TimeSpan.FromSeconds(Math.Min(60, 1 << attempt)), time);
            removed = Again(holder, links);
        }

        if (wired.TryGetValue(holder, out var known) && known.Links == links)
        {
            wired.TryRemove(KeyValuePair.Create(holder, known)); // Not what a later ADD has made.
        }

        if (address is { } freed)
        {
            await lane.RunAsync(() =>
            {
                link.LinkGone(holder, freed);
                return true;
            });
        }
    }

    private Task Again(SandboxKey holder, WiredSandbox links)
    {
        // A sandbox that came back has taken the link's name, and the old link went for it: only rules can be left.
        var isBack = link.Lease.Claims.ContainsKey(holder);
        try
        {
            return wirer.Unwire(isBack ? links with { HostVeth = null } : links, KernelDeadline);
        }
        catch (WiringException e)
        {
            return Task.FromException(e);
        }
    }

    [LoggerMessage(EventId = 3211, Level = LogLevel.Information, Message = "Sandbox {Older} has lost its link {Veth} to {Sandbox}, a pod of the same name; its DEL has not come yet.")]
    private partial void LogDisplaced(SandboxKey older, SandboxKey sandbox, string veth);

    [LoggerMessage(EventId = 3212, Level = LogLevel.Warning, Message = "Sandbox {Sandbox} is not unwired yet, and will be tried again: {Why}")]
    private partial void LogNotRemoved(SandboxKey sandbox, string why);

    [LoggerMessage(EventId = 3213, Level = LogLevel.Error, Message = "Sandbox {Sandbox} cannot be unwired, so {Address} stays unused until its next DEL or the executor's next start: {Why}")]
    private partial void LogGivenUp(SandboxKey sandbox, Ip? address, string why);

    [LoggerMessage(EventId = 3214, Level = LogLevel.Warning, Message = "{Why}")]
    private partial void LogNotDiscarded(string why);

    private sealed record Wired(WiredSandbox Links, WiredPod? Pod);
}
