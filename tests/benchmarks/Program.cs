namespace AwsVpcCni.Benchmarks;

internal static class Program
{
    private static async Task<int> Main(string[] words)
    {
        Func<Task<bool>>? benchmark = words switch
        {
            ["add"] => AddBenchmark.RunAsync,
            ["growth"] => GrowthBenchmark.RunAloneAsync,
            _ => null,
        };
        if (benchmark is null)
        {
            await Console.Error.WriteLineAsync("Which benchmark? There are: add, and its part growth");
            return 2;
        }

        try
        {
            return await benchmark() ? 0 : 1;
        }
        catch (Exception e)
        {
            // The one place where everything ends: a benchmark that cannot be run says why, and fails.
            await Console.Error.WriteLineAsync($"FAILED: {e}");
            return 1;
        }
    }
}
