using Xunit;

namespace AwsVpcCni.Tests.Simulation.Tests;

public sealed class ReplayTests
{
    [Fact]
    public async Task The_same_seeds_run_the_same_way_in_every_process()
    {
        var first = await HashAsync("3");
        var second = await HashAsync("3");

        Assert.Equal(first, second);
        Assert.NotEqual(first, await HashAsync("4")); // A hash that says nothing would be equal, too.
    }

    private static async Task<string> HashAsync(string first)
    {
        var (_, output) = await SimulationProcess.RunAsync("seeds", "3", first);
        return output.Split('\n').Single(line => line.StartsWith("hash: ", StringComparison.Ordinal));
    }
}
