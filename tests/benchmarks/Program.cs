using System.Globalization;
using AwsVpcCni.Benchmarks.Flood;
using AwsVpcCni.Benchmarks.Readers;
using AwsVpcCni.Benchmarks.StoreCost;

namespace AwsVpcCni.Benchmarks;

internal static class Program
{
    private static async Task<bool> DoneAsync(Task work)
    {
        await work;
        return true;
    }

    private static async Task<int> Main(string[] words)
    {
        Func<Task<bool>>? benchmark = words switch
        {
            ["add"] => AddBenchmark.RunAsync,
            ["growth"] => GrowthBenchmark.RunAloneAsync,
            ["store", var blocks, var seconds] => () => StoreBenchmark.RunAsync(int.Parse(blocks, CultureInfo.InvariantCulture), double.Parse(seconds, CultureInfo.InvariantCulture)),
            ["readers", var pairs, var seconds] => () => ReadersBenchmark.RunAsync(int.Parse(pairs, CultureInfo.InvariantCulture), double.Parse(seconds, CultureInfo.InvariantCulture)),
            ["flood", var pairs, var seconds] => () => FloodBenchmark.RunAsync(int.Parse(pairs, CultureInfo.InvariantCulture), double.Parse(seconds, CultureInfo.InvariantCulture)),
            ["flood-node", var token, var connections] => () => DoneAsync(NodeFlood.RunAsync(token, int.Parse(connections, CultureInfo.InvariantCulture))),
            // The other side of the store's, a process of its own.
            ["put-items", var url, var table, var java] => () => DoneAsync(BareStore.PutItemsAsync(url, table, StoreSize.Usual, [int.Parse(java, CultureInfo.InvariantCulture)])),
            ["insert-rows", var path] => () => DoneAsync(BareStore.InsertRowsAsync(path, StoreSize.Usual)),
            _ => null,
        };
        if (benchmark is null)
        {
            await Console.Error.WriteLineAsync("Which benchmark? There are: add, and its part growth; store BLOCKS SECONDS; readers PAIRS SECONDS; flood PAIRS SECONDS");
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
