using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.Tests.EndToEnd.Plugin;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>Starts and stops pods on a node as a runtime does, many at once: a DEL is repeated until it succeeds, also after an ADD
/// that has failed, and then the sandbox's namespace goes.</summary>
internal sealed class PodTurnover(ClusterNode node)
{
    private static readonly TimeSpan DelPatience = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<string, CniCallOnNode> sandboxes = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, string> addresses = new(StringComparer.Ordinal);
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

    /// <summary>Makes namespaces, in which <see cref="AddAsync"/> then starts pods.</summary>
    public async Task<ImmutableArray<CniCallOnNode>> MakeSandboxesAsync(string prefix, int count)
    {
        var made = await Task.WhenAll(Enumerable.Range(0, count).Select(pod => CniCallOnNode.StartAsync(node, $"{prefix}{pod}")));
        foreach (var sandbox in made)
        {
            sandboxes[sandbox.ContainerId] = sandbox;
        }

        return [.. made];
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
            addresses[sandbox.ContainerId] = said.RootElement.GetProperty("ips")[0].GetProperty("address").GetString()!.Split('/')[0];
            return null;
        }

        var error = $"{said.RootElement.GetProperty("code").GetInt32()} {said.RootElement.GetProperty("msg").GetString()}";
        await StopAsync(sandbox, Task.CompletedTask);
        return error;
    }

    /// <summary>Stops the pod of a container.</summary>
    /// <param name="gate">As for an ADD.</param>
    public async Task DelAsync(string containerId, Task gate)
    {
        addresses.TryRemove(containerId, out _);
        await StopAsync(sandboxes[containerId], gate);
    }

    private async Task StopAsync(CniCallOnNode sandbox, Task gate)
    {
        await Eventually.HoldsAsync($"a DEL of {sandbox.ContainerId} to succeed", DelPatience, async _ =>
            await CallAsync(sandbox, "DEL", gate) is { ExitCode: not 0 } failed ? Encoding.UTF8.GetString(failed.Stdout) : null);
        sandboxes.TryRemove(sandbox.ContainerId, out _);
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

    private ref int Counter(string command) => ref command == "ADD" ? ref addsInFlight : ref delsInFlight;
}
