using Xunit;

namespace AwsVpcCni.Tests.Simulation.Tests;

public sealed class SeedTests
{
    private const int Seeds = 150; // Some 45 s of two quiet cores.
    private const int Processes = 2;

    [Fact]
    public async Task No_seed_finds_an_address_misused_or_a_world_that_does_not_heal()
    {
        var each = Seeds / Processes;
        var runs = await Task.WhenAll(Enumerable.Range(0, Processes).Select(n => SimulationProcess.RunAsync("seeds", $"{each}", $"{(n * each) + 1}")));

        foreach (var (exitCode, output) in runs)
        {
            Assert.True(exitCode == 0, output);
            Assert.Contains($"seeds: {each}", output, StringComparison.Ordinal);
        }
    }
}
