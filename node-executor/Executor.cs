using System.Collections.Immutable;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Cni;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Linux;
using AwsVpcCni.NodeExecutor.Metrics;
using AwsVpcCni.NodeExecutor.Netlink;
using AwsVpcCni.NodeExecutor.Status;
using AwsVpcCni.NodeExecutor.Wiring;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor;

/// <summary>One node's executor from its start to its end: reads what kernel and lease file say, then serves.</summary>
/// <remarks>No silo is on the way to serving: the link to them starts beside it.</remarks>
internal static partial class Executor
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private static readonly TimeSpan KernelDeadline = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan RecentlyFreed = TimeSpan.FromHours(1); // Each costs a walk through all that the kernel tracks.
    private static readonly TimeSpan StopGrace = TimeSpan.FromSeconds(10);

    /// <summary>Serves until it is stopped. Pods stay wired.</summary>
    /// <exception cref="ExecutorStoppedException">It cannot serve as it is set up.</exception>
    internal static async Task RunAsync(ExecutorSettings settings, TimeProvider time, ILogger log, CancellationToken stop)
    {
        using var api = OpenApi(settings, time);
        await OtherDaemon.RefuseAsync(time);
        var instanceId = await WhoAmIAsync(settings, time, log);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var finder = OpenFinder(settings, api, time, log);
        var finding = finder?.RunAsync(end.Token) ?? Task.CompletedTask; // It never ends by itself, and whatever it meets it tells in the log.
        try
        {
            await RunAsync(settings, instanceId, api, time, log, stop);
        }
        finally
        {
            await end.CancelAsync();
            await finding;
        }
    }

    /// <summary>The same, with the silos' door and the instance given: for tests.</summary>
    internal static async Task RunAsync(
        ExecutorSettings settings, string instanceId, INodeApi api, TimeProvider time, ILogger log, CancellationToken stop)
    {
        using var ours = LockState(settings.StateDirectory);
        Sysctl.Folder = settings.ProcSys;
        var notForgotten = new Repeated(time);
        using var wirer = new Wirer(settings.Host.VethPrefix, why =>
        {
            if (notForgotten.Say(why) is { } line)
            {
                LogNotForgotten(log, line);
            }
        });
        using var events = OpenEvents(time); // Before anything is read.
        using var store = new LeaseFile(Path.Combine(settings.StateDirectory, "lease"), File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim());
        var lane = new Lane();
        var (lease, leftovers, wired) = Restore(store, instanceId, settings.Host.VethPrefix, time, log);
        string[] prefixes = [.. wired.Select(w => w.HostVeth).OfType<string>().Select(VethName.PrefixOf).OfType<string>().Append(settings.Host.VethPrefix).Distinct()];
        var repairs = new Repairs(time, log);
        wired = [.. wired.Select(one => one.MayLackAlias ? NamedAgain(one, wirer, repairs, time) : one)]; // Before a DEL: it knows a link by its alias.
        var network = new HostNetwork(settings.Host, prefixes, settings.Imds, repairs, time, log);
        network.Start();
        var link = new LeaseLink(api, store, time, new LeaseLinkOptions(), lease, new HostInterfaces(settings.Host.EniMtu, repairs, time, log), log);
        var links = new PodLinks(wirer, lane, link, time, log);
        foreach (var sandbox in wired.Where(sandbox => sandbox.Sandbox is not null))
        {
            links.Found(sandbox.Sandbox!.Value, sandbox);
        }

        foreach (var (holder, left) in leftovers)
        {
            LogLeftover(log, left.HostVeth ?? "rules", left.Address?.ToString() ?? "no address");
            var found = wired.First(w => w.HostVeth == left.HostVeth && (left.HostVeth is not null || w.Address == left.Address));
            links.Remove(holder, found with { Address = left.Address }, left.Address);
        }

        // What the last run had no time for, and what went while nobody looked.
        foreach (var (address, _) in lease.Slots.Where(slot => slot.Value is { Hold: null, FreedAt: { } freed } && BootClock.Now(time) - freed < RecentlyFreed).OrderBy(slot => slot.Value.FreedAt)) // As pods get them.
        {
            wirer.Forget(address, () => link.Lease.Slots.GetValueOrDefault(address)?.Hold is null, KernelDeadline); // A rested one may be a pod's by then.
        }

        var gate = new SandboxGate(time);
        var ended = new EndedSandboxes(EndedMarks.Open(settings.Socket, time, log), lane, link, links, gate, time, log);
        var requests = new RequestCounts();
        var commands = new CniCommands(
            new AddCommand(lane, link, links, gate, network.Readiness, settings.Host, time, log, ended), new DelCommand(lane, link, links, gate, time, log),
            new CheckCommand(link, gate, settings.Host, log), new GcCommand(lane, link, links, gate, time, log), new StatusCommand(lane, link, network.Readiness, time), requests, time, log);
        var status = new StatusReport(lane, link, links, network, repairs, time);
        using var socket = PluginSocket.Listen(settings.Socket, time, log, (request, cancellation) =>
            StatusReport.IsAsked(request) ? status.ReplyAsync() : commands.ServeAsync(request, cancellation));
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stop);
        await ended.CarryOutAllAsync(); // Behind the socket, which no other executor has then, and before an ADD is served or a silo hears of a claim.
        LogStarted(log, instanceId, lease.Incarnation, lease.Slots.Count, link.Lease.Claims.Count);
        Task[] parts =
        [
            socket.RunAsync(StopGrace, end.Token),
            lane.RunAsync(() => link.RunAsync(end.Token)),
            new VanishedSandboxes(wirer, lane, link, links, gate, () => events.Next, time, log, ended).RunAsync(end.Token),
            new PodRepairs(link, links, gate, settings.Host, repairs, time, log).RunAsync(events, end.Token),
            network.RunAsync(events, end.Token),
            lane.RunAsync(() => link.ListenAsync(() => events.Next, end.Token)),
            .. settings.Metrics is { } at ? [new MetricsEndpoint(at, () => status.MetricsAsync(requests), time, log).RunAsync(end.Token)] : Array.Empty<Task>(),
            AnnounceAsync(settings, lane, link, network, log, end.Token),
        ];
        try
        {
            await foreach (var part in Task.WhenEach(parts).WithCancellation(CancellationToken.None))
            {
                await part; // One that fails ends the others, and the process: a restart reads the truth.
            }
        }
        finally
        {
            await end.CancelAsync();
        }

        await links.DrainAsync(StopGrace);
        LogStopped(log);
    }

    private static HttpNodeApi OpenApi(ExecutorSettings settings, TimeProvider time)
    {
        try
        {
            return new HttpNodeApi(settings.Silos, settings.TokenFile, settings.CaFile, time) { HostName = settings.SiloService is { IsTls: true } service ? service.HostName : null };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or System.Security.Cryptography.CryptographicException)
        {
            throw new ExecutorStoppedException($"The silos' authority cannot be read from {settings.CaFile}: {e.Message} It must be a PEM file.", e);
        }
    }

    private static SiloFinder? OpenFinder(ExecutorSettings settings, HttpNodeApi api, TimeProvider time, ILogger log)
    {
        try
        {
            return settings.SiloService is { } service
                ? new SiloFinder(service, Path.Combine(settings.StateDirectory, "silos"), api.Follow, () => api.IsLost, time, new Random(Environment.ProcessId ^ (int)time.GetTimestamp()), log)
                : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or System.Security.Cryptography.CryptographicException)
        {
            throw new ExecutorStoppedException($"The API server's authority cannot be read from {settings.SiloService!.CaFile}: {e.Message} It must be a PEM file.", e);
        }
    }

    /// <summary>The token decides; the metadata service only guards against a token of another machine. A token of Kubernetes names its node, of which the silos
    /// know the instance; for what is kept on this machine its own word is good enough.</summary>
    private static async Task<string> WhoAmIAsync(ExecutorSettings settings, TimeProvider time, ILogger log)
    {
        string? fromToken;
        bool isOfKubernetes;
        try
        {
            var token = new TokenFile(settings.TokenFile).Read();
            (fromToken, isOfKubernetes) = (TokenFile.InstanceOf(token), TokenFile.IsOfKubernetes(token));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ExecutorStoppedException($"The node's token cannot be read: {e.Message} Check the setting TokenFile.", e);
        }

        if (fromToken is null && !isOfKubernetes)
        {
            throw new ExecutorStoppedException($"{settings.TokenFile} is no token with the claim {TokenFile.InstanceClaim}, and none of a Kubernetes service account. Issue one with 'ipam token --instance', or mount the projected token.");
        }

        string fromImds;
        try
        {
            fromImds = await InstanceMetadata.InstanceIdAsync(settings.Imds, time);
        }
        catch (IOException e) when (fromToken is not null)
        {
            LogNoImds(log, settings.Imds, e.Message, fromToken);
            return fromToken;
        }
        catch (IOException e)
        {
            throw new ExecutorStoppedException($"The metadata service {settings.Imds} does not say which instance this is: {e.Message} A token of Kubernetes names its node only, and the lease file is an instance's.", e);
        }

        if (fromToken is not null && fromImds != fromToken)
        {
            throw new ExecutorStoppedException(
                $"{settings.TokenFile} is a token for {fromToken}, and this machine is {fromImds} (by {settings.Imds}). Give this node its own token: with another's it would take that node's addresses.");
        }

        return fromImds;
    }

    private static ExecutorLock LockState(string directory)
    {
        try
        {
            Directory.CreateDirectory(directory, OwnerOnly);
            return ExecutorLock.Take(directory, Environment.ProcessId);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ExecutorStoppedException($"The state directory {directory} cannot be used: {e.Message} Check the setting StateDirectory.", e);
        }
    }

    private static (NodeLease Lease, ImmutableArray<Leftover> Leftovers, IReadOnlyList<WiredSandbox> Wired) Restore(
        LeaseFile store, string instanceId, string vethPrefix, TimeProvider time, ILogger log)
    {
        try
        {
            var content = store.Read(instanceId);
            if (content.Warning is { } warning)
            {
                LogLeaseNotUsed(log, warning);
            }

            IReadOnlyList<WiredSandbox> wired = [.. Inventory.Read(KernelDeadline, vethPrefix, ClaimsOf(content)).OrderByDescending(w => w.Since)]; // Of two links with one address the older is the stale one.
            RefuseForeignPods(wired);
            // Two may have one table, the older of them on its way out; what the file says of an address goes before this anyway.
            var tables = (content.Lease?.Interfaces.Values ?? []).GroupBy(order => PodWiring.TableOf(order.NetworkCard, order.DeviceIndex))
                .ToDictionary(orders => orders.Key, orders => orders.Last().EniId);
            var (lease, leftovers) = NodeLease.Start(instanceId, content, [.. wired.Select(w => LinkOf(w, tables))], BootClock.Now(time));
            store.Save(lease); // The new incarnation, before any request bears it.
            return (lease, leftovers, wired);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ExecutorStoppedException($"The lease file cannot be read or written: {e.Message} Check the disk of the setting StateDirectory.", e);
        }
    }

    /// <summary>Of a file of another boot none: its pods are gone.</summary>
    private static ClaimedPod[] ClaimsOf(LeaseFileContent content) => content is { IsOfThisBoot: true, Lease: { } lease }
        ? [.. lease.Slots.Where(slot => slot.Value.Hold is not null).Select(slot => new ClaimedPod(slot.Value.Hold!.Sandbox, slot.Value.Hold.Pod, slot.Key))]
        : [];

    private static WiredSandbox NamedAgain(WiredSandbox wired, Wirer wirer, Repairs repairs, TimeProvider time)
    {
        wirer.Name(wired, time.GetUtcNow(), KernelDeadline);
        repairs.Made(RepairKind.Link, $"set the alias of {wired.HostVeth} ({wired.Sandbox})");
        return wired with { MayLackAlias = false };
    }

    /// <summary>Ours are named before they are routed. A routed link without an owner, named like ours or with rules like ours, is a pod of amazon-vpc-cni-k8s.</summary>
    private static void RefuseForeignPods(IEnumerable<WiredSandbox> wired)
    {
        var foreign = wired.Where(link => link is { Sandbox: null, HostVeth: not null, Address: not null }).ToArray();
        if (foreign.Length > 0)
        {
            throw new ExecutorStoppedException(
                $"{foreign.Length} pods on this node were wired by another program: {string.Join(", ", foreign.Take(5).Select(link => $"{link.HostVeth} ({link.Address})"))}. "
                + "They are left alone. Drain the node and stop that program (aws-node?), or remove these links, then start again.");
        }
    }

    internal static WiredLink LinkOf(WiredSandbox wired, Dictionary<int, string> tables)
    {
        var slash = wired.Pod.IndexOf('/', StringComparison.Ordinal);
        var pod = slash < 0 ? new PodName("", wired.Pod, "") : new PodName(wired.Pod[..slash], wired.Pod[(slash + 1)..], "");
        return new WiredLink(wired.Sandbox, wired.HostVeth, wired.Address, tables.GetValueOrDefault(wired.RouteTable, ""), pod);
    }

    private static KernelEvents OpenEvents(TimeProvider time)
    {
        try
        {
            return KernelEvents.Open(time);
        }
        catch (NetlinkException e)
        {
            throw new ExecutorStoppedException($"The kernel cannot be listened to: {e.Message}. The executor needs CAP_NET_ADMIN in the host's network namespace.", e);
        }
    }

    private static async Task AnnounceAsync(ExecutorSettings settings, Lane lane, LeaseLink link, HostNetwork network, ILogger log, CancellationToken stop)
    {
        var path = settings.Conflist;
        try
        {
            await network.Readiness.WhenReady.WaitAsync(stop);
            await lane.RunAsync(() => link.WhenServableAsync(stop));
            if (Conflist.Write(path, settings.ConflistVersion, settings.Chained))
            {
                LogReplaced(log, path);
            }

            LogAnnounced(log, path, settings.Chained.IsEmpty ? "nothing" : string.Join(", ", settings.Chained));
            if (!settings.Chained.Contains(ChainedPlugins.Portmap))
            {
                LogNoHostPorts(log, settings.PluginDirectory);
            }
        }
        catch (OperationCanceledException)
        {
            // Stopped before it could serve.
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ExecutorStoppedException($"{path} cannot be written: {e.Message} Check the setting Conflist.", e);
        }
    }

    [LoggerMessage(EventId = 3001, Level = LogLevel.Information, Message = "Serving {InstanceId} in incarnation {Incarnation}: {Addresses} addresses known, {Claims} on pods.")]
    private static partial void LogStarted(ILogger log, string instanceId, long incarnation, int addresses, int claims);

    [LoggerMessage(EventId = 3002, Level = LogLevel.Information, Message = "Stopped; pods stay wired.")]
    private static partial void LogStopped(ILogger log);

    [LoggerMessage(EventId = 3003, Level = LogLevel.Warning, Message = "The metadata service {Imds} does not say which machine this is ({Why}), so it is not checked that this machine is {InstanceId}, as the token says.")]
    private static partial void LogNoImds(ILogger log, Uri imds, string why, string instanceId);

    [LoggerMessage(EventId = 3004, Level = LogLevel.Warning, Message = "{Warning}")]
    private static partial void LogLeaseNotUsed(ILogger log, string warning);

    [LoggerMessage(EventId = 3005, Level = LogLevel.Information, Message = "{Link} with {Address} is half wired and will be removed.")]
    private static partial void LogLeftover(ILogger log, string link, string address);

    [LoggerMessage(EventId = 3008, Level = LogLevel.Information, Message = "This node can serve; the runtime is told by {Path}. Behind our plugin: {Chained}.")]
    private static partial void LogAnnounced(ILogger log, string path, string chained);

    [LoggerMessage(EventId = 3010, Level = LogLevel.Information, Message = "Pods' host ports lead nowhere: portmap is not in the list. It follows our plugin when it lies in {PluginDirectory}, or when AWS_VPC_CNI_CHAINED names it.")]
    private static partial void LogNoHostPorts(ILogger log, string pluginDirectory);

    [LoggerMessage(EventId = 3011, Level = LogLevel.Warning, Message = "{Path} was another list, by hand or of other settings, and was written anew. Plugins behind ours are for AWS_VPC_CNI_CHAINED; a list of your own belongs into a file whose name comes first, such as 05-own.conflist.")]
    private static partial void LogReplaced(ILogger log, string path);

    [LoggerMessage(EventId = 3012, Level = LogLevel.Warning, Message = "Connections of a pod that is gone may still be tracked, and lead where it was until they expire: {Why}")]
    private static partial void LogNotForgotten(ILogger log, string why);
}
