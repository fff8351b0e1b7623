using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;

namespace AwsVpcCni.VpcEmulator.Fabric;

/// <summary>The VPC's wires: a network namespace for each instance, a veth for each attached interface, and a router namespace
/// that delivers an address only to the interface that holds it and drops what comes from an address its sender does not hold.</summary>
/// <remarks>Needs root, iproute2, nftables and util-linux. Knows nothing of EC2: the model says who holds what. Changes run one at a
/// time, in the order of the calls.</remarks>
public sealed class VpcFabric : IAsyncDisposable
{
    private const int Mtu = 9001; // Jumbo frames: what a VPC carries, and what an instance's interface starts with.
    private readonly string _prefix;
    private readonly string _router;
    private readonly SemaphoreSlim _gate = new(1);
    private readonly Dictionary<string, string> _nodes = []; // Instance id -> name of its namespace.
    private readonly Dictionary<string, FabricPort> _ports = []; // ENI id -> its port.
    private readonly Dictionary<IPAddress, FabricPort> _holders = [];
    private int _lastPort;

    private VpcFabric(string prefix)
    {
        _prefix = prefix;
        _router = $"{prefix}-router";
    }

    /// <summary>Makes the router; first removes what an interrupted run with this prefix has left, running processes included.</summary>
    /// <remarks>The prefix has lower-case letters and digits only: with a dash, one fabric's leftovers could be another's nodes.</remarks>
    public static async Task<VpcFabric> StartAsync(string prefix, CancellationToken cancellation)
    {
        ArgumentException.ThrowIfNullOrEmpty(prefix);
        if (!prefix.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c)))
        {
            throw new ArgumentException($"fabric prefix `{prefix}`: take lower-case letters and digits only.", nameof(prefix));
        }

        var fabric = new VpcFabric(prefix);
        await fabric.RemoveNamespacesAsync(cancellation);
        try
        {
            await fabric.AddRouterAsync(cancellation);
            return fabric;
        }
        catch
        {
            await fabric.DisposeAsync();
            throw;
        }
    }

    /// <summary>Makes an instance's namespace `PREFIX-<paramref name="name"/>`, with 169.254.169.254 for the metadata service.</summary>
    public Task AddNodeAsync(string instanceId, string name, CancellationToken cancellation = default) => InOrderAsync(async () =>
    {
        var netns = $"{_prefix}-{name}";
        if (netns == _router || _nodes.ContainsKey(instanceId) || _nodes.ContainsValue(netns))
        {
            throw new InvalidOperationException($"{instanceId} ({netns}): the fabric has this instance or this name already.");
        }

        await Command.RunAsync("ip", ["netns", "add", netns], null, cancellation);

        // Amazon Linux forwards once Kubernetes is on it and checks sources strictly. A new namespace would copy the
        // machine's own values, so all are said here, before an interface takes the default.
        SetSysctls(netns, ("ipv4/ip_forward", 1), ("ipv4/conf/all/rp_filter", 0), ("ipv4/conf/default/rp_filter", 1));

        // Scope host, so that the node never takes it as the source of anything that leaves.
        await Command.IpBatchAsync(netns, "link set lo up\naddress add 169.254.169.254/32 dev lo scope host\n", cancellation);
        _nodes.Add(instanceId, netns);
    }, cancellation);

    /// <summary>Plugs an interface in. Its primary address is held from then on. Device 0 arrives configured, as a cloud image
    /// does it; the others arrive down and without an address. In the node it is named eth<paramref name="deviceIndex"/>, and its MAC is
    /// <paramref name="mac"/> (as `02:00:0a:00:00:01`) from the first moment.</summary>
    public Task AttachInterfaceAsync(
        string instanceId, string eniId, string mac, int deviceIndex, IPNetwork subnet, IPAddress primary, CancellationToken cancellation = default) =>
        InOrderAsync(async () =>
        {
            var netns = Netns(instanceId);
            if (_ports.ContainsKey(eniId))
            {
                throw new InvalidOperationException($"{eniId}: attached already.");
            }

            var port = new FabricPort(++_lastPort, instanceId, eniId, mac);
            var device = $"eth{deviceIndex}";

            // The MAC is there from the first moment: udev and systemd rewrite one that is set later.
            await Command.IpBatchAsync(_router, $"""
                link add {port.Device} mtu {Mtu} type veth peer name {device} address {mac} mtu {Mtu} netns {netns}
                link set {port.Device} alias {eniId} up

                """, cancellation);
            await Command.NftAsync(_router, RouterRules.AddPort(port) + RouterRules.Give(port, [primary]), cancellation);
            _ports.Add(eniId, port);
            Hold(port, primary);
            if (deviceIndex == 0)
            {
                await Command.IpBatchAsync(netns, $"""
                    address add {primary}/{subnet.PrefixLength} broadcast + dev {device}
                    link set {device} up
                    route add default via {Gateway(subnet)} dev {device}

                    """, cancellation);
            }
        }, cancellation);

    /// <summary>Says all that an attached interface holds, its primary address included. One that another interface held goes over.</summary>
    public Task SetHeldAsync(string eniId, IReadOnlyCollection<IPAddress> addresses, CancellationToken cancellation = default) =>
        InOrderAsync(async () =>
        {
            var port = Port(eniId);
            var taken = port.Held.Except(addresses).ToList();
            var given = addresses.Except(port.Held).ToList();
            var moved = given.Where(_holders.ContainsKey).ToLookup(address => _holders[address]);
            var script = RouterRules.Take(port, taken)
                + string.Concat(moved.Select(group => RouterRules.Take(group.Key, [.. group])))
                + RouterRules.Give(port, given);
            if (script.Length == 0)
            {
                return;
            }

            await Command.NftAsync(_router, script, cancellation);
            taken.ForEach(Release);
            given.ForEach(address => Hold(port, address));
        }, cancellation);

    /// <summary>Unplugs an interface: it vanishes from its node, and nobody holds its addresses.</summary>
    public Task DetachInterfaceAsync(string eniId, CancellationToken cancellation = default) =>
        InOrderAsync(() => DetachAsync(Port(eniId), cancellation), cancellation);

    /// <summary>Ends an instance: unplugs it, ends every process inside, removes its namespace.</summary>
    public Task RemoveNodeAsync(string instanceId, CancellationToken cancellation = default) => InOrderAsync(async () =>
    {
        var netns = Netns(instanceId);
        foreach (var port in _ports.Values.Where(port => port.InstanceId == instanceId).ToList())
        {
            await DetachAsync(port, cancellation);
        }

        await RemoveNamespaceAsync(netns, cancellation);
        _nodes.Remove(instanceId);
    }, cancellation);

    /// <summary>What the router has dropped, by the id of the attached interface that it came from.</summary>
    public async Task<IReadOnlyDictionary<string, DropCounters>> DropCountersAsync(CancellationToken cancellation = default)
    {
        await _gate.WaitAsync(cancellation);
        try
        {
            var json = await Command.RunAsync(
                "nsenter", [$"--net={NetworkNamespace.PathOf(_router)}", "nft", "-j", "list", "counters"], null, cancellation);
            var packets = JsonNode.Parse(json)!["nftables"]!.AsArray()
                .Select(entry => entry!["counter"]).OfType<JsonNode>()
                .ToDictionary(counter => (string)counter["name"]!, counter => (long)counter["packets"]!);
            return _ports.Values.ToDictionary(port => port.EniId, port => new DropCounters(
                packets[$"{nameof(DropCounters.ForeignMac)}_{port.Number}"],
                packets[$"{nameof(DropCounters.ForeignSource)}_{port.Number}"],
                packets[$"{nameof(DropCounters.NotHeld)}_{port.Number}"]));
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>The path of an instance's network namespace, for <see cref="NetworkNamespace"/> and `nsenter --net=`.</summary>
    /// <remarks>Not while another call of the fabric is under way.</remarks>
    public string NamespacePath(string instanceId) => NetworkNamespace.PathOf(Netns(instanceId));

    /// <summary>Ends every process in the fabric's namespaces and removes them all.</summary>
    public async ValueTask DisposeAsync()
    {
        await RemoveNamespacesAsync(CancellationToken.None);
        _gate.Dispose();
    }

    private async Task AddRouterAsync(CancellationToken cancellation)
    {
        await Command.RunAsync("ip", ["netns", "add", _router], null, cancellation);

        // Every address is the router's own, which is how its ARP answers for each; and it may be a sender's too (accept_local).
        // IP packets never get as far as these routes: RouterRules forwards or drops them at ingress.
        SetSysctls(_router, ("ipv4/ip_forward", 0), ("ipv4/conf/all/accept_local", 1), ("ipv4/conf/all/rp_filter", 0),
            ("ipv4/conf/default/rp_filter", 0), ("ipv4/conf/all/arp_ignore", 0), ("ipv4/conf/default/arp_ignore", 0),
            ("ipv6/conf/default/disable_ipv6", 1));
        await Command.IpBatchAsync(_router, "link set lo up\nroute add local 0.0.0.0/0 dev lo\n", cancellation);
        await Command.NftAsync(_router, RouterRules.Tables, cancellation);
    }

    private async Task DetachAsync(FabricPort port, CancellationToken cancellation)
    {
        await Command.NftAsync(_router, RouterRules.Take(port, port.Held) + RouterRules.RemovePort(port), cancellation);
        await Command.IpBatchAsync(_router, $"link delete {port.Device}\n", cancellation);
        port.Held.ToList().ForEach(Release);
        _ports.Remove(port.EniId);
    }

    private async Task RemoveNamespacesAsync(CancellationToken cancellation)
    {
        foreach (var file in Directory.Exists("/run/netns") ? Directory.GetFiles("/run/netns", $"{_prefix}-*") : [])
        {
            await RemoveNamespaceAsync(Path.GetFileName(file), cancellation);
        }
    }

    private static async Task RemoveNamespaceAsync(string netns, CancellationToken cancellation)
    {
        await NamespaceProcesses.KillAsync(netns, cancellation);
        await Command.RunAsync("ip", ["netns", "delete", netns], null, cancellation);
    }

    private void Hold(FabricPort port, IPAddress address)
    {
        Release(address);
        port.Held.Add(address);
        _holders[address] = port;
    }

    private void Release(IPAddress address)
    {
        if (_holders.Remove(address, out var holder))
        {
            holder.Held.Remove(address);
        }
    }

    private string Netns(string instanceId) => _nodes.TryGetValue(instanceId, out var netns)
        ? netns
        : throw new InvalidOperationException($"{instanceId}: the fabric has no such instance. AddNodeAsync comes first.");

    private FabricPort Port(string eniId) => _ports.TryGetValue(eniId, out var port)
        ? port
        : throw new InvalidOperationException($"{eniId}: not attached in the fabric. AttachInterfaceAsync comes first.");

    private static IPAddress Gateway(IPNetwork subnet)
    {
        var bytes = subnet.BaseAddress.GetAddressBytes();
        bytes[3]++; // The base ends in at least four zero bits (a subnet is /28 or larger): no carry.
        return new IPAddress(bytes);
    }

    /// <summary>A namespace has its own /proc/sys/net, that of the thread which opens the file.</summary>
    private static void SetSysctls(string netns, params ReadOnlySpan<(string Name, int Value)> sysctls)
    {
        var wanted = sysctls.ToArray();
        NetworkNamespace.Run(NetworkNamespace.PathOf(netns), () =>
        {
            foreach (var (name, value) in wanted)
            {
                File.WriteAllText($"/proc/sys/net/{name}", value.ToString(CultureInfo.InvariantCulture));
            }

            return wanted.Length;
        });
    }

    private async Task InOrderAsync(Func<Task> change, CancellationToken cancellation)
    {
        await _gate.WaitAsync(cancellation);
        try
        {
            await change();
        }
        finally
        {
            _gate.Release();
        }
    }
}
