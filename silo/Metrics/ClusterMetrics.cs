using System.Collections.Immutable;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Metrics;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Subnet;

namespace AwsVpcCni.Silo.Metrics;

/// <summary>Subnets and EC2's budget as metrics. Pure. Labels are subnet, action and need; never a node or a pod.</summary>
/// <remarks>Each silo tells the same of the whole cluster: rules take the max by subnet or action, not the sum.</remarks>
internal static class ClusterMetrics
{
    /// <summary>What each subnet has.</summary>
    /// <param name="now">UTC.</param>
    public static void Write(PrometheusText text, IReadOnlyCollection<SubnetSummary> subnets, DateTimeOffset now)
    {
        // One that EC2 has not been read of yet has no figures: 0 free addresses would be an alarm.
        var read = subnets.Where(subnet => subnet.Cidr is not null).ToArray();
        Gauge("size_addresses", "Addresses of the subnet, the five that AWS keeps included.", subnet => subnet.Size);
        Gauge("free_addresses", "Addresses that nobody uses, and that are not set aside.", subnet => subnet.Free);
        Gauge("free_blocks", "Whole /28 blocks among the free addresses.", subnet => subnet.FreePrefixes);
        Gauge("used_addresses", "Addresses that EC2 shows on some interface, or that a node of ours holds.", subnet => subnet.Used);
        Gauge("other_addresses", "Used addresses that no node of ours holds.", subnet => subnet.Others);
        Gauge("reserved_addresses", "Addresses that are set aside for draws under way.", subnet => subnet.Reserved);
        Gauge("leased_addresses", "Addresses that nodes of ours hold.", subnet => subnet.Leased);
        Gauge("pod_addresses", "Addresses on pods.", subnet => subnet.OnPods);
        Gauge("warm_addresses", "Addresses that nodes hold free and rested.", subnet => subnet.Warm);
        Gauge("cooling_addresses", "Addresses that nodes hold and that have not rested yet.", subnet => subnet.Cooling);
        Gauge("level", "0: plenty; 1: low, nodes keep one address ready; 2: dry, pods wait and addresses are asked back.", subnet => (double)subnet.Level);
        Gauge("withheld_addresses", "Addresses that nodes would draw besides, were there plenty.", subnet => subnet.Withheld);
        Gauge("read_age_seconds", "Since EC2 was read last; no series when it never was.", subnet => subnet.ReadAt is { } at ? Math.Max(0, (now - at).TotalSeconds) : null);
        Gauge("dry_seconds", "Until nothing is free, as likely before as after; +Inf: not within 7 days; no series while the past is too short to tell.", subnet => Seconds(subnet.Dry, time => time.Median));
        Gauge("dry_early_seconds", "As dry_seconds; one time in ten it is earlier.", subnet => Seconds(subnet.Dry, time => time.Early));

        void Gauge(string name, string help, Func<SubnetSummary, double?> value) => text.Family($"subnet_{name}", "gauge", help,
            from subnet in read
            let figure = value(subnet)
            where figure is not null
            select (PrometheusText.Label("subnet", subnet.SubnetId), figure.Value));
    }

    /// <summary>EC2's budget, an action each.</summary>
    public static void Write(PrometheusText text, IReadOnlyCollection<ActionBudget> actions)
    {
        Family("budget_size", "gauge", "Permits that the action's bucket holds at most: our share of AWS's.", action => action.Size);
        Family("budget_permits", "gauge", "Permits that are there.", action => action.Available);
        Family("budget_rate", "gauge", "Permits that come back each second, as it is now.", action => action.RatePerSecond);
        Family("budget_factor", "gauge", "Of the usual rate; below 1 since EC2 has throttled the action.", action => action.Factor);
        Family("queued_calls", "gauge", "Calls that wait for a permit and have a place, of all needs.", action => action.Queued);
        Family("turn_seconds", "gauge", "How far away the turn of a pod's call is that is asked for now.", action => action.Turn.TotalSeconds);
        Family("throttled_total", "counter", "Calls that EC2 has refused for their rate.", action => action.Throttled);
        ByNeed("calls_total", "Calls that got a permit, by need.", (action, need) => action.Granted.GetValueOrDefault(need));
        ByNeed("waits_total", "Calls that were told to wait for a permit, by need; each time they ask.", (action, need) => action.ToldToWait.GetValueOrDefault(need));
        ByNeed("waited_seconds_total", "What calls that got a permit have waited for it, by need.", (action, need) => action.WaitedSeconds?.GetValueOrDefault(need) ?? 0);

        void Family(string name, string type, string help, Func<ActionBudget, double> value) =>
            text.Family($"ec2_{name}", type, help, actions.Select(action => (PrometheusText.Label("action", action.Action), value(action))));

        // All from the start: else a rate misses each series' first count.
        void ByNeed(string name, string help, Func<ActionBudget, string, double> count) => text.Family($"ec2_{name}", "counter", help,
            from action in actions
            from need in Enum.GetNames<CallPriority>()
            select ($"{PrometheusText.Label("action", action.Action)},{PrometheusText.Label("need", need)}", count(action, need)));
    }

    /// <summary>What operators have switched off.</summary>
    /// <param name="now">UTC.</param>
    public static void Write(PrometheusText text, ImmutableArray<OperatorSwitch> switches, DateTimeOffset now)
    {
        var series = from scope in (string[])["cluster", "subnet", "node"]
                     from mode in (SwitchMode[])[SwitchMode.Hold, SwitchMode.Frozen]
                     select (Labels: $"{PrometheusText.Label("scope", scope)},{PrometheusText.Label("mode", mode.ToString())}", Ages: switches.Where(one => one.Mode == mode && ScopeOf(one) == scope).Select(one => Math.Max(0, (now - one.At).TotalSeconds)).ToArray());
        text.Family("switches", "gauge", "What operators have switched off: the cluster, subnets and nodes on hold or frozen.", series.Select(one => (one.Labels, (double)one.Ages.Length)));
        text.Family("switch_age_seconds", "gauge", "Since the oldest of them was switched; no series while there is none.", series.Where(one => one.Ages.Length > 0).Select(one => (one.Labels, one.Ages.Max())));
    }

    private static string ScopeOf(OperatorSwitch one) => one.Target == OperatorSwitches.All ? "cluster" : one.Target.StartsWith("subnet-", StringComparison.Ordinal) ? "subnet" : "node";

    private static double? Seconds(DryTime? time, Func<DryTime, TimeSpan?> part) => time is null ? null : part(time)?.TotalSeconds ?? double.PositiveInfinity;
}
