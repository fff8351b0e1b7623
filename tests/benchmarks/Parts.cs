using System.Globalization;
using System.Text.RegularExpressions;
using AwsVpcCni.Tests.EndToEnd.Cluster;
using AwsVpcCni.Tests.EndToEnd.Harness;

namespace AwsVpcCni.Benchmarks;

/// <summary>Where our ADDs spent their time, by what executor and silo wrote into their logs. Milliseconds by container id.</summary>
/// <param name="Claim">In the executor, from asking for an address until it was claimed.</param>
/// <param name="Wiring">In the executor, netlink and sysctls.</param>
/// <param name="Store">In the silo, from handing the row to the store until it was on disk.</param>
internal sealed record Parts(IReadOnlyDictionary<string, double> Claim, IReadOnlyDictionary<string, double> Wiring, IReadOnlyDictionary<string, double> Store)
{
    // `sandbox ID/IFNAME: ... N ms to the claim, N ms of wiring.`
    private static readonly Regex Added = new(@" 3221 ADD .* sandbox (?<id>[^ /]+)/.* (?<claim>[\d.]+) ms to the claim, (?<wiring>[\d.]+) ms of wiring");

    // `Done, on disk: assign ADDRESS of NODE to ID/IFNAME, in N us.`
    private static readonly Regex Written = new(@"\[3301\] Done, on disk: assign .* to (?<id>[^ /]+)/[^ ]*, in (?<store>\d+) us");

    /// <summary>The silo writes its log a moment later, so this waits for it.</summary>
    public static async Task<Parts> OfAsync(TestCluster cluster, IReadOnlyCollection<string> containerIds)
    {
        Parts parts = null!;
        await Eventually.HoldsAsync("the logs to tell of each ADD", TimeSpan.FromSeconds(10), _ =>
        {
            parts = Read(cluster.Nodes.Select(n => n.Executor!.LogFile), cluster.Silo.Daemon!.LogFile);
            var missing = containerIds.Count(id => !parts.Claim.ContainsKey(id) || !parts.Store.ContainsKey(id));
            return Task.FromResult(missing == 0 ? null : $"{missing} of {containerIds.Count} are missing");
        });
        return parts;
    }

    private static Parts Read(IEnumerable<string> executorLogs, string siloLog)
    {
        Dictionary<string, double> claim = [], wiring = [], store = [];
        foreach (var match in executorLogs.SelectMany(File.ReadLines).Select(line => Added.Match(line)).Where(match => match.Success))
        {
            claim[match.Groups["id"].Value] = Number(match.Groups["claim"]);
            wiring[match.Groups["id"].Value] = Number(match.Groups["wiring"]);
        }

        foreach (var match in File.ReadLines(siloLog).Select(line => Written.Match(line)).Where(match => match.Success))
        {
            store[match.Groups["id"].Value] = Number(match.Groups["store"]) / 1000;
        }

        return new Parts(claim, wiring, store);
    }

    private static double Number(Group digits) => double.Parse(digits.ValueSpan, CultureInfo.InvariantCulture);
}
