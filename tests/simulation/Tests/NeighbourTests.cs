using Xunit;

namespace AwsVpcCni.Tests.Simulation.Tests;

public sealed class NeighbourTests
{
    /// <summary>Shorter than the ten minutes, in which the bounds are 1, 3 and 80 %: what is refused until the budget has learnt weighs more here.</summary>
    [Fact]
    public async Task Beside_a_neighbour_that_takes_half_of_a_bucket_hardly_a_call_is_throttled_and_what_it_leaves_is_used()
    {
        var (exitCode, output) = await SimulationProcess.RunAsync("neighbour", "3");

        Assert.True(exitCode == 0, output);
        Assert.InRange(SimulationProcess.Figure(output, "neighbour_even_throttled_percent"), 0, 1.5);
        Assert.InRange(SimulationProcess.Figure(output, "neighbour_bursts_throttled_percent"), 0, 3);
        Assert.InRange(SimulationProcess.Figure(output, "neighbour_even_of_rest_percent"), 80, 101);
        Assert.InRange(SimulationProcess.Figure(output, "neighbour_bursts_of_rest_percent"), 80, 101);
        Assert.InRange(SimulationProcess.Figure(output, "neighbour_recovery_seconds"), 0, 120);
    }
}
