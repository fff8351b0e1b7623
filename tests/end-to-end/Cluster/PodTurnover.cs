using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.Tests.EndToEnd.Plugin;
using AwsVpcCni.VpcEmulator.Fabric;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>Starts and stops pods on a node as a runtime does, many at once: a DEL is repeated until it succeeds, also after an ADD
/// that has failed, and then the sandbox's namespace goes.</summary>
/// <param name="isPinned">Whether somebody holds the namespace of the sandbox that ends now, until <see cref="UnpinAsync"/>.</param>
internal sealed class PodTurnover(ClusterNode node, Func<bool>? isPinned = null)
{
    private static readonly TimeSpan DelPatience = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<string, CniCallOnNode> sandboxes = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, string> addresses = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, string> results = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, byte> unfinished = new(StringComparer.Ordinal); // Pods that nobody takes yet.
    private readonly ConcurrentBag<CniCallOnNode> pinned = [];
    private int addsInFlight, delsInFlight, ended;
    private (int Ended, Action Act) awaited = (-1, static () => { });

    /// <summary>Plugins that have their configuration and have not ended.</summary>
    public (int Adds, int Dels) InFlight => (Volatile.Read(ref addsInFlight), Volatile.Read(ref delsInFlight));

    /// <summary>Does something, once, when so many plugins have ended from now on: on the thread that has seen the last one's end.</summary>
    /// <remarks>Called while none runs.</remarks>
    public void AfterEnds(int count, Action act) => awaited = (Volatile.Read(ref ended) + count, act);

    /// <summary>Sandboxes whose namespace is there.</summary>
    public IReadOnlyCollection<CniCallOnNode> Sandboxes => [.. sandboxes.Values];

    /// <summary>What the runtime was told: pods whose ADD has succeeded and whose DEL has not been asked for.</summary>
    public ImmutableArray<AddressBooks.Entry> Told => [.. addresses.Select(pod => new AddressBooks.Entry(pod.Value, pod.Key)).OrderBy(pod => pod.Holder, StringComparer.Ordinal)];

    /// <summary>Of <see cref="Told"/> without second networks.</summary>
    public int Pods => addresses.Keys.Count(IsFirst);

    /// <summary>Makes namespaces, in which <see cref="AddAsync"/> then starts pods.</summary>
    public async Task<ImmutableArray<CniCallOnNode>> MakeSandboxesAsync(string prefix, int count)
    {
        var made = await Task.WhenAll(Enumerable.Range(0, count).Select(pod => CniCallOnNode.StartAsync(node, $"{prefix}{pod}")));
        return [.. made.Select(Known)];
    }

    /// <summary>An ADD; one that fails is cleaned up after.</summary>
    /// <param name="gate">The plugin is started now, and gets its configuration when this ends.</param>
    /// <returns>What the plugin said against it; null when the pod is there.</returns>
    /// <exception cref="InvalidOperationException">It failed without an error that the specification knows.</exception>
    public async Task<string?> AddAsync(CniCallOnNode sandbox, Task gate)
    {
        var added = await CallAsync(sandbox, "ADD", gate);
        using var said = JsonDocument.Parse(added.Stdout);
        if (added.ExitCode == 0)
        {
            results[sandbox.Holder] = said.RootElement.GetRawText();
            var address = said.RootElement.GetProperty("ips")[0].GetProperty("address").GetString()!.Split('/')[0];
            NetworkNamespace.Run(node.Netns, () => Greet(address));
            addresses[sandbox.Holder] = address;
            return null;
        }

        var error = $"{said.RootElement.GetProperty("code").GetInt32()} {said.RootElement.GetProperty("msg").GetString()}";
        await StopAsync(sandbox, Task.CompletedTask);
        return error;
    }

    /// <summary>A pod with a second network. When that fails the pod goes, as with Multus.</summary>
    /// <returns>As of <see cref="AddAsync"/>.</returns>
    public async Task<string?> AddWithSecondNetworkAsync(CniCallOnNode sandbox)
    {
        unfinished[sandbox.Holder] = 0;
        var said = await AddAsync(sandbox, Task.CompletedTask);
        if (said is null && (said = await AddAsync(Known(sandbox.SecondNetwork()), Task.CompletedTask)) is not null)
        {
            await DelAsync(sandbox.ContainerId, Task.CompletedTask);
        }

        unfinished.TryRemove(sandbox.Holder, out _);
        return said;
    }

    /// <summary>A pod of the name of one that is there and whose DEL comes only afterwards.</summary>
    /// <returns>As of <see cref="AddAsync"/>.</returns>
    public async Task<string?> AddInPlaceOfAsync(string older, string name)
    {
        Forget(older);
        var said = await AddAsync(Known(await CniCallOnNode.StartAsync(node, name, sandboxes[older].PodName)), Task.CompletedTask);
        await DelAsync(older, Task.CompletedTask);
        return said;
    }

    /// <summary>An ADD that the kernel refuses when half of it is done: the pod forbids the way to its next hop.</summary>
    public async Task AddInVainAsync(string name)
    {
        var sandbox = Known(await CniCallOnNode.StartAsync(node, name));
        await Shell.RunAsync("ip", "-n", sandbox.Netns, "rule", "add", "priority", "1", "to", "169.254.1.1", "prohibit");
        Assert.NotNull(await AddAsync(sandbox, Task.CompletedTask));
    }

    /// <summary>A pod to stop, which nobody else gets; null when there are not more than <paramref name="survivors"/>.</summary>
    public string? TakeOld(int survivors) =>
        addresses.Keys.Where(pod => IsFirst(pod) && !unfinished.ContainsKey(pod)).ToArray() is var pods && pods.Length <= survivors ? null : pods.FirstOrDefault(pod => addresses.TryRemove(pod, out _));

    /// <summary>Stops the pod of a container, its second network first.</summary>
    /// <param name="gate">As for an ADD.</param>
    public async Task DelAsync(string containerId, Task gate)
    {
        var second = sandboxes.GetValueOrDefault(sandboxes[containerId].SecondNetwork().Holder);
        Forget(containerId);
        if (second is not null)
        {
            Forget(second.Holder);
            await StopAsync(second, gate);
        }

        await StopAsync(sandboxes[containerId], gate);
    }

    public Task DelAllAsync() => Task.WhenAll(addresses.Keys.Where(IsFirst).Select(pod => DelAsync(pod, Task.CompletedTask)));

    /// <summary>New pods come while as many old ones go, all at once.</summary>
    /// <param name="survivors">Old ones that stay.</param>
    /// <param name="during">Lets the plugins go, which are there and wait.</param>
    /// <returns>What was said against ADDs.</returns>
    public async Task<string[]> TurnOverAsync(string name, Random random, int count, int survivors, Func<Action, Task> during)
    {
        var old = Told.Where(pod => IsFirst(pod.Holder)).ToArray();
        random.Shuffle(old);
        var coming = await MakeSandboxesAsync(name + "p", count);
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var adds = coming.Select(sandbox => AddAsync(sandbox, gate.Task)).ToList();
        var dels = old.Skip(survivors).Take(count).Select(pod => DelAsync(pod.Holder, gate.Task)).ToList();
        await during(gate.SetResult);
        await Task.WhenAll(dels);
        var refused = (await Task.WhenAll(adds)).OfType<string>().ToArray();

        // As kubelet does: another sandbox for a pod that got none. Now nothing is in its way.
        var again = await MakeSandboxesAsync(name + "again", refused.Length);
        Assert.Empty((await Task.WhenAll(again.Select(sandbox => AddAsync(sandbox, Task.CompletedTask)))).OfType<string>());
        return refused;
    }

    /// <summary>A CHECK of every pod that the runtime was told of: nothing of its wiring is missing or changed.</summary>
    public Task CheckAsync() => Task.WhenAll(results.Select(async pod =>
    {
        var config = $$"""{{CniCallOnNode.Config[..^1]}},"prevResult":{{pod.Value}}}""";
        var check = await sandboxes[pod.Key].CallAsync("CHECK", config);
        Assert.True(check.ExitCode == 0, $"CHECK of {pod.Key} ended with {check.ExitCode}: {Encoding.UTF8.GetString(check.Stdout)}{check.Stderr}");
    }));

    /// <summary>A GC: the runtime lists the pods that it was told of.</summary>
    public async Task CollectAsync()
    {
        var attachments = string.Join(',', addresses.Keys.Select(holder => sandboxes[holder]).Select(sandbox => $$"""{"containerID":"{{sandbox.ContainerId}}","ifname":"{{sandbox.IfName}}"}"""));
        await using var caller = await CniCallOnNode.StartAsync(node, "gc");
        var collected = await caller.CallAsync("GC", $$"""{"cniVersion":"1.1.0","name":"aws-cni","type":"aws-vpc-cni","cni.dev/valid-attachments":[{{attachments}}]}""");
        Assert.True(collected.ExitCode == 0, Encoding.UTF8.GetString(collected.Stdout));
    }

    /// <summary>Takes away the namespaces that have outlived their sandboxes.</summary>
    public async Task UnpinAsync()
    {
        while (pinned.TryTake(out var sandbox))
        {
            await EndAsync(sandbox);
        }
    }

    /// <summary>A datagram of the node: the kernel tracks a connection of the pod, which its DEL has to end.</summary>
    private static int Greet(string address)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        return socket.SendTo([1], new IPEndPoint(IPAddress.Parse(address), 9));
    }

    private async Task StopAsync(CniCallOnNode sandbox, Task gate)
    {
        await Eventually.HoldsAsync($"a DEL of {sandbox.Holder} to succeed", DelPatience, async _ =>
            await CallAsync(sandbox, "DEL", gate) is { ExitCode: not 0 } failed ? Encoding.UTF8.GetString(failed.Stdout) : null);
        if (IsFirst(sandbox.Holder) && isPinned?.Invoke() is true)
        {
            pinned.Add(sandbox);
            return;
        }

        await EndAsync(sandbox);
    }

    private async Task EndAsync(CniCallOnNode sandbox)
    {
        sandboxes.TryRemove(sandbox.Holder, out _);
        await sandbox.DisposeAsync();
    }

    private async Task<PluginResult> CallAsync(CniCallOnNode sandbox, string command, Task gate)
    {
        using var plugin = sandbox.Begin(command);
        await gate;
        Interlocked.Increment(ref Counter(command));
        try
        {
            await plugin.GiveAsync(Encoding.UTF8.GetBytes(CniCallOnNode.Config));
            return await plugin.ResultAsync();
        }
        finally
        {
            Interlocked.Decrement(ref Counter(command));
            if (Interlocked.Increment(ref ended) == awaited.Ended)
            {
                awaited.Act();
            }
        }
    }

    private CniCallOnNode Known(CniCallOnNode sandbox) => sandboxes[sandbox.Holder] = sandbox;

    private void Forget(string holder)
    {
        addresses.TryRemove(holder, out _);
        results.TryRemove(holder, out _);
    }

    private static bool IsFirst(string holder) => !holder.Contains('/', StringComparison.Ordinal);

    private ref int Counter(string command) => ref command == "ADD" ? ref addsInFlight : ref delsInFlight;
}
