using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using AwsVpcCni.Tests.Cluster.Storage;

namespace AwsVpcCni.Benchmarks.StoreCost;

/// <summary>A <see cref="BareStore"/> as a process in DynamoDB's network namespace.</summary>
internal sealed class BareProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly Process _process;

    /// <param name="words">This program's, for the other one.</param>
    public BareProcess(DynamoDbLocal dynamo, params string[] words)
    {
        var start = new ProcessStartInfo("nsenter", [$"--net={dynamo.NetworkNamespacePath()}", Path.Combine(AppContext.BaseDirectory, "AwsVpcCni.Benchmarks"), .. words])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        foreach (var (name, value) in StoreBenchmark.Credentials)
        {
            start.Environment[name] = value;
        }

        // As silo.csproj has them: both sides pay the same for their runtime.
        start.Environment["DOTNET_TieredPGO"] = "0";
        start.Environment["DOTNET_GCConserveMemory"] = "6";
        _process = Process.Start(start)!;
    }

    /// <returns>Of its processes it is the first itself.</returns>
    /// <exception cref="InvalidOperationException">It has ended; why it has said on the error output.</exception>
    public async Task<Block> RunAsync(double seconds, CancellationToken cancellation)
    {
        await _process.StandardInput.WriteLineAsync(seconds.ToString(CultureInfo.InvariantCulture).AsMemory(), cancellation);
        await _process.StandardInput.FlushAsync(cancellation);
        return await _process.StandardOutput.ReadLineAsync(cancellation) is { } line
            ? JsonSerializer.Deserialize<Block>(line)!
            : throw new InvalidOperationException("The bare side has ended.");
    }

    public async ValueTask DisposeAsync()
    {
        _process.StandardInput.Close(); // Ends it.
        try
        {
            await _process.WaitForExitAsync().WaitAsync(Patience);
        }
        catch (TimeoutException)
        {
            _process.Kill();
        }

        _process.Dispose();
    }
}
