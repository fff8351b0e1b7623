using System.Globalization;
using System.Text.RegularExpressions;
using Xunit;

namespace AwsVpcCni.Tests.Simulation.Tests;

public sealed class ManyNodesTests
{
    [Fact] // F8.
    public async Task Many_nodes_that_start_restart_and_go_at_once_are_not_throttled_and_a_limit_that_is_lower_than_documented_is_learned()
    {
        var (exitCode, output) = await SimulationProcess.RunAsync("many", "150");

        Assert.True(exitCode == 0, output);
        Assert.Contains("many_start_throttled: 0 of", output, StringComparison.Ordinal);
        Assert.Contains("many_drain_throttled: 0 of", output, StringComparison.Ordinal);
        Assert.Contains("many_restart_changes: 0\n", output, StringComparison.Ordinal);
        Assert.InRange(Figure(output, "many_lower_limit_throttled"), 1, 80 - 20); // No more than the calls of the first moment: our bucket holds 80 permits, EC2's 20.
        Assert.InRange(Figure(output, "many_lower_limit_seconds"), 0, 1.15 * Figure(output, "many_lower_limit_bound_seconds"));
    }

    private static double Figure(string output, string name) =>
        double.Parse(Regex.Match(output, $@"(?m)^{name}: ([\d.]+)").Groups[1].Value, CultureInfo.InvariantCulture);
}
