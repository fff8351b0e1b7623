using Xunit;

namespace AwsVpcCni.Tests.Simulation.Tests;

public sealed class FleetTests
{
    /// <summary>What `make bench-fleet` measures in real time, where the machine's load is in it.</summary>
    [Fact]
    public async Task A_thousand_nodes_that_boot_at_once_have_their_pods_near_what_EC2_allows_and_no_call_is_throttled()
    {
        var (exitCode, output) = await SimulationProcess.RunAsync("fleet", "1000");

        Assert.True(exitCode == 0, output);
        Assert.InRange(SimulationProcess.Figure(output, "fleet_virtual_ratio"), 1, 1.15);
        Assert.Equal(0, SimulationProcess.Figure(output, "fleet_virtual_throttled"));
    }
}
