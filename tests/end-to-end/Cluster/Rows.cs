using AwsVpcCni.Tests.EndToEnd.Harness;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>What the silo's store says, read beside the running silo by SQLite's own shell.</summary>
internal static class Rows
{
    /// <summary>Rows of <c>addresses</c> that are not released, as <c>node address holder</c>.</summary>
    public static async Task<string[]> AssignedAsync(SiloProcess silo) => (await Shell.RunAsync("sqlite3", "-readonly", "-separator", " ", silo.Database,
        "SELECT node, address, container || iif(ifname = 'eth0', '', '/' || ifname) FROM addresses WHERE released IS NULL ORDER BY address")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
