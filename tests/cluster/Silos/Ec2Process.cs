using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using AwsVpcCni.Tests.Cluster.Storage;
using AwsVpcCni.VpcEmulator.Control;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>The VPC emulator as a process in DynamoDB's network namespace, without a fabric: EC2 for the silos there.</summary>
internal sealed class Ec2Process : IAsyncDisposable
{
    /// <summary>Where EC2 answers.</summary>
    public const string Endpoint = "http://127.0.0.1:4566";

    private readonly Process _process;
    private readonly HttpClient _http;

    private Ec2Process(Process process, HttpClient http) => (_process, _http) = (process, http);

    /// <summary>Answers when its instances are there.</summary>
    /// <param name="folder">For its files.</param>
    public static async Task<Ec2Process> StartAsync(DynamoDbLocal dynamo, DirectoryInfo folder, VpcDescription vpc, CancellationToken cancellation)
    {
        var (file, log) = (Path.Combine(folder.FullName, "vpc.json"), Path.Combine(folder.FullName, "ec2.txt"));
        await File.WriteAllTextAsync(file, JsonSerializer.Serialize(vpc, JsonSerializerOptions.Web), cancellation);
        var process = Process.Start(dynamo.Inside(
            log, Path.Combine(AppContext.BaseDirectory, "vpc-emulator"), "run", "--vpc", file, "--listen", Endpoint, "--policy", $"{DynamoDbProxy.AccessKey}={Repository.Ec2Policy}"))!;
        var ec2 = new Ec2Process(process, dynamo.Http());
        try
        {
            var began = TimeProvider.System.GetTimestamp();
            for (var said = ""; !said.Contains("ready at", StringComparison.Ordinal); await Task.Delay(50, cancellation))
            {
                var hasExited = process.HasExited;
                said = File.Exists(log) ? await File.ReadAllTextAsync(log, cancellation) : "";
                if (hasExited || TimeProvider.System.GetElapsedTime(began) > SiloProcesses.Patience)
                {
                    throw new InvalidOperationException($"The emulator does not come up: {said}");
                }
            }

            return ec2;
        }
        catch
        {
            await ec2.DisposeAsync();
            throw;
        }
    }

    /// <summary>All of the VPC now.</summary>
    public async Task<VpcState> StateAsync(CancellationToken cancellation) =>
        (await _http.GetFromJsonAsync<VpcState>(new Uri($"{Endpoint}/_emulator/state"), CallEntry.Json, cancellation))!;

    /// <summary>All calls that it has had.</summary>
    public async Task<CallEntry[]> CallsAsync(CancellationToken cancellation) =>
        (await _http.GetFromJsonAsync<CallEntry[]>(new Uri($"{Endpoint}/_emulator/calls"), CallEntry.Json, cancellation))!;

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync(CancellationToken.None);
        }

        _process.Dispose();
    }
}
