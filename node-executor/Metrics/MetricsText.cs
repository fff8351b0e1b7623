using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Metrics;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Status;

namespace AwsVpcCni.NodeExecutor.Metrics;

/// <summary>The executor's metrics in Prometheus' text format 0.0.4. Pure; the number of series is bounded by enumerations, never by pods.</summary>
internal static class MetricsText
{
    private const string Prefix = "aws_vpc_cni_node_";

    /// <summary>Lines, with an end each.</summary>
    /// <param name="waiting">ADDs by what they were told last; null: nothing yet.</param>
    internal static string Of(ExecutorStatus status, ILookup<ReasonCode?, Asking> waiting, RequestCounts requests)
    {
        var text = new PrometheusText(Prefix);
        var (ended, took) = requests.Snapshot();
        text.Family("requests_total", "counter", "Requests of the CNI plugin by their result: 0, or the CNI error's code.",
            ended.Select(one => ($"command=\"{one.Command}\",code=\"{one.Code}\"", (double)one.Count)));
        Durations(took);
        text.Family("addresses", "gauge", "Addresses that the node knows, by state.",
            [
                ("state=\"in_use\"", status.Lease.InUse), ("state=\"leaving\"", status.Lease.Leaving), ("state=\"cooling\"", status.Lease.Cooling),
                ("state=\"free\"", status.Lease.Free), ("state=\"not_usable\"", status.Lease.NotUsable),
            ]);
        text.Family("waiting_pods", "gauge", "ADDs without an address, by what they were told last; HostNetwork: they wait for rules and table.",
            ((ReasonCode?[])[.. Enum.GetValues<ReasonCode>(), null]).Select(code => ($"reason=\"{code?.ToString() ?? "Asking"}\"", (double)waiting[code].Count())).Append(("reason=\"HostNetwork\"", status.Host.Waiting)));
        text.Family("interfaces", "gauge", "Interfaces that the node has or is to set up.",
            [("state=\"set_up\"", status.Interfaces.Count(one => one.IsSetUp)), ("state=\"not_set_up\"", status.Interfaces.Count(one => !one.IsSetUp))]);
        text.Single("silo_contact_seconds", "gauge", "Since a silo has answered; since the start when none has.", status.Silo.ContactSeconds ?? status.UpSeconds);
        text.Single("silo_failures_total", "counter", "Syncs, questions and releases that no silo has answered.", status.Silo.Failures);
        text.Single("untold_ends", "gauge", "Ended assignments that no silo has acknowledged.", status.Lease.Untold);
        text.Single("lease_file_ok", "gauge", "0: the lease file could not be written last, so no address can be claimed.", status.Lease.IsFileWritten ? 1 : 0);
        text.Single("host_network_ok", "gauge", "0: the last look could not set rules, switches or table, or the metadata service did not answer.", status.Host is { IsReady: true, Failure: null } ? 1 : 0);
        text.Family("repairs_total", "counter", "What others had changed and was put back, by kind.",
            status.Repairs.Select(one => ($"kind=\"{one.Kind}\"", (double)one.Count)));
        return text.ToString();

        void Durations(IEnumerable<(string Command, RequestCounts.Durations Durations)> commands)
        {
            const string Name = "request_seconds";
            text.Head(Name, "histogram", "How long requests of the CNI plugin took, those that failed too.");
            foreach (var (command, durations) in commands)
            {
                var count = 0L;
                foreach (var (bound, here) in RequestCounts.Bounds.Append(double.PositiveInfinity).Zip(durations.Counts))
                {
                    count += here;
                    text.Series($"{Name}_bucket", $"command=\"{command}\",le=\"{PrometheusText.Number(bound)}\"", count);
                }

                text.Series($"{Name}_sum", $"command=\"{command}\"", durations.Seconds);
                text.Series($"{Name}_count", $"command=\"{command}\"", count);
            }
        }
    }
}
