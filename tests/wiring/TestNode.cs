using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Wiring;
using AwsVpcCni.VpcEmulator.Fabric;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.Tests.Wiring;

/// <summary>A node's network namespace with a wirer in it, and pods' namespaces beside. All go with it.</summary>
public sealed partial class TestNode : IDisposable
{
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);
    public static readonly DateTimeOffset Since = new(2026, 8, 20, 14, 2, 0, TimeSpan.Zero);

    private static int s_count;

    private readonly string _prefix = $"wire{Environment.ProcessId}x{Interlocked.Increment(ref s_count)}";
    private readonly List<string> _namespaces = [];

    public TestNode()
    {
        Name = AddNamespace("node");
        Run("ip", "-n", Name, "link", "set", "lo", "up");
        Run("ip", "-n", Name, "address", "add", "10.0.0.10/32", "dev", "lo"); // What the node speaks from.
        Run("nsenter", $"--net={Path(Name)}", "sysctl", "-qw", "net.ipv4.ip_forward=1"); // As an executor does.
        Wirer = In(() => new Wirer());
    }

    public string Name { get; }

    /// <summary>Call it inside <see cref="In"/>.</summary>
    public Wirer Wirer { get; }

    public static string Path(string name) => NetworkNamespace.PathOf(name);

    public static PodWiring Pod(string container, string address, string pod = "web-0", int table = PodWiring.MainTable, string ifName = "eth0", int mtu = 9001) =>
        PodWiring.Of(new PodVeth(new SandboxKey(container, ifName), new PodName("default", pod, "uid"), mtu), Core.Addressing.Ip.Parse(address), table, Since);

    public string AddNamespace(string name)
    {
        Run("ip", "netns", "add", $"{_prefix}{name}");
        _namespaces.Add($"{_prefix}{name}");
        return _namespaces[^1];
    }

    public void DeleteNamespace(string name)
    {
        Run("ip", "netns", "delete", name);
        _namespaces.Remove(name);
    }

    public T In<T>(Func<T> work) => NetworkNamespace.Run(Path(Name), work);

    public WiredPod Wire(PodWiring wiring, string netns, TimeSpan? deadline = null)
    {
        using var handle = File.OpenHandle(Path(netns));
        return Wire(wiring, handle, deadline);
    }

    public WiredPod Wire(PodWiring wiring, SafeFileHandle netns, TimeSpan? deadline = null) =>
        In(() => Wirer.Wire(wiring, netns, deadline ?? Deadline));

    /// <summary>Undoes, and waits until the kernel has confirmed it.</summary>
    public Task UnwireAsync(WiredSandbox wired) => In(() => Wirer.Unwire(wired, Deadline)).WaitAsync(Deadline);

    public Task UnwireAsync(PodWiring wiring) => UnwireAsync(WiredSandbox.Of(wiring));

    public IReadOnlyList<WiredSandbox> Inventory() => In(() => NodeExecutor.Wiring.Inventory.Read(Deadline));

    /// <summary>All that a wiring could leave behind in the node, as text to compare. Not a link's carrier: the kernel tells of that up to a second later.</summary>
    public string Snapshot() => OfCarrier().Replace(string.Join('\n',
        Run("ip", "-n", Name, "-o", "-d", "link"), Run("ip", "-n", Name, "-4", "rule"),
        Run("ip", "-n", Name, "-4", "route", "show", "table", "all"), Run("ip", "-n", Name, "neigh")), "");

    /// <summary>What `ip -json` says in a namespace.</summary>
    public static JsonElement Ip(string netns, params string[] arguments) =>
        JsonDocument.Parse(Run("ip", ["-n", netns, "-json", "-details", .. arguments])).RootElement;

    public static void Ping(string netns, string address) =>
        Run("nsenter", $"--net={Path(netns)}", "ping", "-c", "1", "-W", "2", address);

    /// <exception cref="InvalidOperationException">The program failed; the message carries its words.</exception>
    public static string Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output
            : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {errors.Result}{output}");
    }

    public void Dispose()
    {
        Wirer.Dispose();
        foreach (var name in _namespaces)
        {
            Run("ip", "netns", "delete", name);
        }
    }

    [GeneratedRegex("NO-CARRIER,|,M-DOWN|,LOWER_UP| state [A-Z]+| linkdown")]
    private static partial Regex OfCarrier();
}
