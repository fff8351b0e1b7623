using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Linux;
using AwsVpcCni.NodeExecutor.Netlink;
using AwsVpcCni.NodeExecutor.Nftables;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>What the node has once for all its pods: routing rules, a switch of the kernel's, the table of SNAT and marks.</summary>
/// <remarks>Set at the start and looked at each 30 s, whenever the kernel tells of a change, and when the VPC's ranges, which are read anew each
/// 5 s, have changed; only what differs is changed. It stays when the executor ends: traffic of pods does not wait for a restart.</remarks>
/// <param name="prefixes">How names of pods' links begin: the setting's, and those of pods from a time of another setting.</param>
internal sealed partial class HostNetwork(HostNetworkSettings settings, IReadOnlyCollection<string> prefixes, Uri imds, Repairs repairs, TimeProvider time, ILogger log)
{
    /// <summary>Between two looks.</summary>
    internal static readonly TimeSpan Period = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan AskPeriod = TimeSpan.FromSeconds(5); // Of a new range of the VPC nobody tells us.
    private static readonly TimeSpan FirstPeriod = TimeSpan.FromSeconds(1); // Until the first table of this run is in place: pods may wait for it.
    private static readonly TimeSpan KernelDeadline = TimeSpan.FromSeconds(10);

    private string applied = ""; // Ours, as it was sent.
    private string listed = ""; // The same, as the library lists it.
    private readonly Repeated failures = new(time);
    private PrimaryFacts? known; // As last said.
    private string? silence; // Why the metadata service has said nothing, when it was asked last.
    private bool areRulesSet;
    private volatile HostLook? last;

    /// <summary>Of the table: there with the first look, or from before the start.</summary>
    internal NetworkReadiness Readiness { get; } = new();

    /// <summary>From any thread.</summary>
    internal HostNetworkStatus Status => new(Readiness.WhenReady.IsCompleted, Readiness.Waiting, last);

    /// <summary>What needs nobody's answer.</summary>
    /// <exception cref="ExecutorStoppedException">libnftables is not installed, and the settings need it.</exception>
    /// <exception cref="WiringException">The kernel refuses.</exception>
    internal void Start()
    {
        if (settings.Marks && !Nft.IsInstalled)
        {
            throw new ExecutorStoppedException(
                "libnftables.so.1 cannot be loaded. Install it (Debian, Ubuntu: libnftables1; Amazon Linux, Fedora: nftables-libs or nftables), or set "
                + "AWS_VPC_K8S_CNI_EXTERNALSNAT=true and AWS_VPC_CNI_NODE_PORT_SUPPORT=false, with which nothing is translated or marked.");
        }

        SetRulesAndSwitches();
        try
        {
            if (!settings.Marks)
            {
                Readiness.Set(); // A table that the last executor has left and that cannot be removed is no reason to wait.
                RemoveTable();
            }
            else if (Listed() is var left && prefixes.All(prefix => left.Contains($"\"{prefix}*\"", StringComparison.Ordinal)))
            {
                Readiness.Set(); // What the last executor has left serves until the first look, if it knows the links of all pods.
            }
        }
        catch (WiringException e)
        {
            Say(e.Message);
        }
    }

    /// <summary>Keeps it so until it is stopped; all of it stays then.</summary>
    internal async Task RunAsync(KernelEvents events, CancellationToken stop)
    {
        var (asksAt, looksAt) = (TimeSpan.Zero, TimeSpan.Zero); // By the boot clock.
        while (!stop.IsCancellationRequested)
        {
            var (changed, now) = (events.Next, BootClock.Now(time));
            await LookAsync(asks: now >= asksAt, looks: now >= looksAt);
            var period = !settings.Marks ? Period : applied.Length > 0 ? AskPeriod : FirstPeriod;
            (asksAt, looksAt) = (now >= asksAt ? now + period : asksAt, now >= looksAt ? now + Period : looksAt);
            await time.ForAsync(changed, asksAt - BootClock.Now(time), stop);
            looksAt = changed.IsCompleted ? TimeSpan.Zero : looksAt;
        }
    }

    /// <summary>One look. What cannot be done is said, and left for the next.</summary>
    /// <param name="asks">Whether the metadata service is asked, too. What others change in the kernel needs no news of it.</param>
    /// <param name="looks">Whether the kernel is looked at even when there is no news.</param>
    internal async Task LookAsync(bool asks = true, bool looks = true)
    {
        var (failure, before) = (silence = asks ? null : silence, known);
        try
        {
            try
            {
                known = settings.Marks && asks ? await InstanceMetadata.PrimaryAsync(imds, time) : known;
            }
            catch (IOException e)
            {
                Say(failure = silence = $"The metadata service {imds} does not say what the VPC's ranges are ({e.Message}); {(known is not null ? "what it said last holds" : Readiness.WhenReady.IsCompleted ? "the table of before the start stays" : "no pod starts before it does")}. Check that it is enabled and that its hop limit lets this process through");
            }

            if (!looks && failure is null && last is { Failure: null } && PrimaryFacts.IsSame(known, before))
            {
                return;
            }

            await Task.Run(() => Apply(known));
            if (known is not null || !settings.Marks)
            {
                Readiness.Set();
            }
        }
        catch (WiringException e)
        {
            Say(failure = e.Message);
        }

        last = new HostLook(BootClock.Now(time), failure);
    }

    /// <summary>What <paramref name="facts"/> ask for, in the calling thread's network namespace.</summary>
    /// <returns>Whether the table was replaced.</returns>
    /// <exception cref="WiringException">It cannot be so.</exception>
    internal bool Apply(PrimaryFacts? facts)
    {
        SetRulesAndSwitches();
        if (facts is null)
        {
            return false;
        }

        var link = HostSetup.NameOf(facts.Mac, KernelDeadline);
        if (prefixes.FirstOrDefault(prefix => link.StartsWith(prefix, StringComparison.Ordinal)) is { } ambiguous)
        {
            throw new WiringException(
                $"The primary interface {link} would count as a pod's: its name begins with {ambiguous}. Set another AWS_VPC_K8S_CNI_VETHPREFIX.", isUndone: true, null);
        }

        return ReplaceTable(SnatTable.Replacement(settings, new PrimaryInterface(link, facts.Address, facts.VpcCidrs), prefixes), facts);
    }

    private bool ReplaceTable(string wanted, PrimaryFacts facts)
    {
        if (wanted == applied && Listed() == listed)
        {
            return false;
        }

        Change(wanted);
        if (wanted == applied)
        {
            repairs.Made(RepairKind.Table, $"replace table {SnatTable.Name}");
        }
        else
        {
            LogTable(SnatTable.Name, applied.Length == 0 ? "as of the start" : "since the node's address or the VPC's ranges have changed", settings.ExternalSnat ? "nothing" : facts.Address.ToString(), string.Join(", ", facts.VpcCidrs));
        }

        (applied, listed) = (wanted, Listed());
        return true;
    }

    private static void Change(string transaction)
    {
        try
        {
            Nft.Run(transaction);
        }
        catch (NftException refused)
        {
            throw new WiringException($"The table {SnatTable.Name} cannot be set: {refused.Message}. The kernel needs nf_tables with nat, fib and conntrack.", isUndone: true, refused);
        }
    }

    /// <returns>Empty when there is none.</returns>
    private static string Listed()
    {
        try
        {
            return Nft.Run("list tables ip\n").Split('\n').Contains($"table ip {SnatTable.Name}") ? Nft.Run(SnatTable.Listing) : "";
        }
        catch (NftException refused)
        {
            throw new WiringException($"The table {SnatTable.Name} cannot be listed: {refused.Message}", isUndone: true, refused);
        }
    }

    private void RemoveTable()
    {
        if (Nft.IsInstalled && Listed().Length > 0)
        {
            Change(SnatTable.Removal);
            LogRemoved(SnatTable.Name);
        }
    }

    private void SetRulesAndSwitches()
    {
        var whenChanged = areRulesSet ? repairs : null;
        if (HostRules.Apply(settings, KernelDeadline, whenChanged) is > 0 and var changed && whenChanged is null)
        {
            LogRules(changed);
        }

        try
        {
            // Pods' packets are forwarded; where the image has that off, all of them would be dropped without a word.
            foreach (var (name, value) in new[] { ("net/ipv4/ip_forward", "1"), ("net/ipv4/tcp_early_demux", settings.HasTcpEarlyDemux ? "1" : "0") })
            {
                if (Sysctl.SetIfPresent(name, value))
                {
                    whenChanged?.Made(RepairKind.Sysctl, $"set {name} to {value}");
                }
            }

            areRulesSet = true;
        }
        catch (IOException refused)
        {
            throw new WiringException(refused.Message, isUndone: true, refused);
        }
    }

    private void Say(string why)
    {
        Readiness.NotYet(why);
        if (failures.Say(why) is { } line)
        {
            LogNotSet(line);
        }
    }

    [LoggerMessage(EventId = 3050, Level = LogLevel.Information, Message = "Table {Table} is set, {Cause}: off the VPC the source becomes {Address}; the VPC's ranges are {Cidrs}.")]
    private partial void LogTable(string table, string cause, string address, string cidrs);

    [LoggerMessage(EventId = 3051, Level = LogLevel.Information, Message = "Table {Table} is removed: nothing is translated or marked.")]
    private partial void LogRemoved(string table);

    [LoggerMessage(EventId = 3052, Level = LogLevel.Information, Message = "{Count} of the node's routing rules were added or removed.")]
    private partial void LogRules(int count);

    [LoggerMessage(EventId = 3053, Level = LogLevel.Warning, Message = "The host's network is not as it should be, and is tried again: {Why}")]
    private partial void LogNotSet(string why);
}

/// <summary>How it stands with the host's network.</summary>
/// <param name="IsReady">All has been in place once, so pods may start.</param>
/// <param name="Waiting">Pods that wait until it is.</param>
/// <param name="Last">The last look; null: none yet.</param>
internal sealed record HostNetworkStatus(bool IsReady, int Waiting, HostLook? Last);

/// <summary>One look at it.</summary>
/// <param name="At">Boot-clock time of its end.</param>
/// <param name="Failure">What it could not do; null: nothing.</param>
internal sealed record HostLook(TimeSpan At, string? Failure);
