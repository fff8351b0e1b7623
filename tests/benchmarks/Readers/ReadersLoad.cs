using System.Diagnostics;
using System.Net;
using AwsVpcCni.Tests.Cluster.Storage;

namespace AwsVpcCni.Benchmarks.Readers;

/// <summary>Operators' programs at a silo's health port, each with a connection of its own, until it is stopped.</summary>
internal sealed class ReadersLoad : IAsyncDisposable
{
    private static readonly string[] Paths = ["/api/v1/subnets", "/api/v1/nodes?limit=50", "/api/v1/quota", "/api/v1/pods?waiting", "/metrics"];
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stop = new();
    private readonly HttpClient[] _clients;
    private readonly Task _all;
    private long _answered, _refused, _other;

    /// <param name="hurried">Each asks again as soon as it has its answer, whatever that says; else once a second.</param>
    public ReadersLoad(DynamoDbLocal dynamo, Uri silo, int readers, bool hurried)
    {
        _clients = [.. Enumerable.Range(0, readers).Select(_ => dynamo.Http())];
        _all = Task.WhenAll(_clients.Select((http, n) => ReadAsync(http, silo, n, hurried)));
    }

    /// <summary>Questions so far: those that had an answer, those that got 429, those that got anything else.</summary>
    public (long Answered, long Refused, long Other) Counts => (Interlocked.Read(ref _answered), Interlocked.Read(ref _refused), Interlocked.Read(ref _other));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _all;
        Array.ForEach(_clients, http => http.Dispose());
        _stop.Dispose();
    }

    private async Task ReadAsync(HttpClient http, Uri silo, int number, bool hurried)
    {
        try
        {
            await Task.Delay(Period * (number / (double)_clients.Length), _stop.Token); // Not all in the same moment.
            for (var n = number; ; n++)
            {
                var began = Stopwatch.GetTimestamp();
                using var answer = await http.GetAsync(new Uri(silo, Paths[n % Paths.Length]), _stop.Token);
                Interlocked.Increment(ref answer.StatusCode is HttpStatusCode.OK ? ref _answered : ref answer.StatusCode is HttpStatusCode.TooManyRequests ? ref _refused : ref _other);
                if (!hurried && Period - Stopwatch.GetElapsedTime(began) is var left && left > TimeSpan.Zero)
                {
                    await Task.Delay(left, _stop.Token);
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // It has been enough.
        }
    }
}
