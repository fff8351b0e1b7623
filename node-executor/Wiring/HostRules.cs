using AwsVpcCni.NodeExecutor.Linux;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>The policy rules that are the node's and not a pod's, in the calling thread's network namespace.</summary>
/// <remarks>Both priorities lie between "to a pod" (512) and "from a pod" (1536): what has the mark, or goes to an external service, takes
/// table main and so the primary interface, whichever interface the pod's address is on. The reference has both priorities to itself,
/// and so have we: at a start another rule of the same form there is a leftover of other settings. Later it is somebody else's.</remarks>
internal static class HostRules
{
    internal const int MarkPriority = 1024;
    internal const int ExternalServicePriority = 1535;

    private const int RuleBytes = 128;

    /// <summary>Pure: those that the settings ask for.</summary>
    internal static IReadOnlyList<Rule> Of(HostNetworkSettings settings) =>
    [
        .. settings.Marks ? [new Rule(MarkPriority, (Core.Addressing.Cidr?)null, null, PodWiring.MainTable) { Mark = settings.Mark }] : Array.Empty<Rule>(),
        .. settings.ExternalServices.Distinct().Select(range => new Rule(ExternalServicePriority, null, range, PodWiring.MainTable)),
    ];

    /// <summary>Adds what is missing, and at a start deletes what is left of other settings.</summary>
    /// <param name="repairs">Given when they were set already: what is missing now, others have taken away.</param>
    /// <returns>How many were changed.</returns>
    /// <exception cref="WiringException">The kernel refuses.</exception>
    internal static int Apply(HostNetworkSettings settings, TimeSpan deadline, Repairs? repairs = null)
    {
        var until = Deadline.In(deadline);
        try
        {
            using var socket = NetlinkSocket.Open();
            var (wanted, found) = (Of(settings), Rule.All(socket, until));
            var missing = wanted.Except(found).ToList();
            var stale = repairs is null ? found.Where(IsOfThese).Except(wanted).ToList() : [];
            if (missing.Count + stale.Count == 0)
            {
                return 0;
            }

            var message = new MessageWriter(new byte[RuleBytes * (missing.Count + stale.Count)]);
            foreach (var rule in missing)
            {
                rule.Add(ref message);
            }

            foreach (var rule in stale)
            {
                rule.Delete(ref message);
            }

            List<string> steps = [.. missing.Select(rule => $"add rule {rule}"), .. stale.Select(rule => $"delete rule {rule}")];
            socket.Execute(message.Written, [.. steps], until, Errno.EEXIST, Errno.ENOENT);
            steps.ForEach(step => repairs?.Made(RepairKind.Rule, step));
            return steps.Count;
        }
        catch (Exception failed) when (failed is NetlinkException or IOException or InvalidDataException)
        {
            throw new WiringException($"The node's routing rules cannot be set: {failed.Message}", isUndone: false, failed);
        }
    }

    private static bool IsOfThese(Rule rule) => rule is
        { Priority: MarkPriority, From: null, To: null, Mark: not 0, Table: PodWiring.MainTable } or
        { Priority: ExternalServicePriority, From: null, To: not null, Mark: 0, Table: PodWiring.MainTable };
}
