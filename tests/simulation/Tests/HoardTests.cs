using Xunit;

namespace AwsVpcCni.Tests.Simulation.Tests;

public sealed class HoardTests
{
    [Fact]
    public async Task In_a_subnet_whose_nodes_keep_too_much_ready_pods_wait_without_thrift_and_recall_and_start_with_them()
    {
        var (exitCode, output) = await SimulationProcess.RunAsync("hoard", "1");

        Assert.True(exitCode == 0, output);
        Assert.Contains("hoard_waiting_with: 0", output, StringComparison.Ordinal);
        Assert.DoesNotContain("hoard_waiting_without: 0", output, StringComparison.Ordinal);
    }
}
