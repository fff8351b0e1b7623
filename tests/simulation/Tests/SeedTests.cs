using Xunit;

namespace AwsVpcCni.Tests.Simulation.Tests;

public sealed class SeedTests
{
    private const int Seeds = 150; // Some 45 s of two quiet cores.

    [Fact]
    public async Task No_seed_finds_an_address_misused_or_a_world_that_does_not_heal()
    {
        var (exitCode, output) = await SimulationProcess.RunAsync("seeds", $"{Seeds}");

        Assert.True(exitCode == 0, output);
        Assert.Contains($"seeds: {Seeds}", output, StringComparison.Ordinal);
    }
}
