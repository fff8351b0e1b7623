namespace AwsVpcCni.Benchmarks;

internal static class Program
{
    private static async Task<int> Main(string[] words)
    {
        if (words is not ["add"])
        {
            await Console.Error.WriteLineAsync("Which benchmark? There is: add");
            return 2;
        }

        try
        {
            return await AddBenchmark.RunAsync() ? 0 : 1;
        }
        catch (Exception e)
        {
            // The one place where everything ends: a benchmark that cannot be run says why, and fails.
            await Console.Error.WriteLineAsync($"FAILED: {e}");
            return 1;
        }
    }
}
