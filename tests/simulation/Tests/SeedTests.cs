using Xunit;

namespace AwsVpcCni.Tests.Simulation.Tests;

public sealed class SeedTests
{
    private const int Seeds = 210; // One to three minutes of two cores.

    [Fact]
    public async Task No_seed_finds_an_address_misused_or_a_world_that_does_not_heal()
    {
        var (exitCode, output) = await SimulationProcess.RunAsync("seeds", $"{Seeds}");

        Assert.True(exitCode == 0, output);
        Assert.Equal(Seeds, SimulationProcess.Figure(output, "seeds"));
        Assert.InRange(SimulationProcess.Figure(output, "assignments"), 10_000, double.MaxValue); // Of each `ipam who` is right.
    }
}
