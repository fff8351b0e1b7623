using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using AwsVpcCni.Tests.Cluster.Storage;

namespace AwsVpcCni.Benchmarks.Flood;

/// <summary>What has become of a flood's calls.</summary>
/// <param name="Refused">By a status.</param>
/// <param name="Cut">By a stream's or a connection's end.</param>
internal sealed record FloodCounts(long Answered, long Refused, long Cut)
{
    public static FloodCounts operator +(FloodCounts a, FloodCounts b) => new(a.Answered + b.Answered, a.Refused + b.Refused, a.Cut + b.Cut);
}

/// <summary>A <see cref="NodeFlood"/> as a process at the silo's door.</summary>
internal sealed class FloodProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly Process _process;

    public FloodProcess(DynamoDbLocal dynamo, string token, int connections) => _process = Process.Start(
        new ProcessStartInfo("nsenter", [$"--net={dynamo.NetworkNamespacePath()}", "chrt", "--idle", "0", Path.Combine(AppContext.BaseDirectory, "AwsVpcCni.Benchmarks"), "flood-node", token, connections.ToString(CultureInfo.InvariantCulture)])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;

    /// <exception cref="InvalidOperationException">It has ended before; why it has said on the error output.</exception>
    public async Task<FloodCounts> EndAsync(CancellationToken cancellation)
    {
        _process.StandardInput.Close();
        return await _process.StandardOutput.ReadLineAsync(cancellation).AsTask().WaitAsync(Patience, cancellation) is { } line
            ? JsonSerializer.Deserialize<FloodCounts>(line)!
            : throw new InvalidOperationException("The flood has ended by itself.");
    }

    public async ValueTask DisposeAsync()
    {
        _process.StandardInput.Close();
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
