using System.Collections.Concurrent;
using System.Net;
using System.Text;

namespace AwsVpcCni.Tests.Cluster.Storage;

/// <summary>The way from the SDK to DynamoDB. Each fault meets one send; without one a send goes through.</summary>
internal sealed class HttpFaults : DelegatingHandler
{
    private readonly ConcurrentQueue<Func<Func<Task<HttpResponseMessage>>, CancellationToken, Task<HttpResponseMessage>>> _faults = new();
    private int _sends;

    /// <summary>Requests so far, those with a fault included.</summary>
    public int Sends => _sends;

    /// <summary>Awaited before the send that comes after those with faults.</summary>
    public Func<Task>? BeforeSend { get; set; }

    /// <summary>DynamoDB refuses it.</summary>
    public HttpFaults Refuse(string code, HttpStatusCode status = HttpStatusCode.BadRequest) => Add((_, _) => Task.FromResult(new HttpResponseMessage(status)
    {
        Content = new StringContent($$"""{"__type":"com.amazon.coral.service#{{code}}","message":"as the test wished"}""", Encoding.UTF8, "application/x-amz-json-1.0"),
    }));

    /// <summary>The connection ends before DynamoDB has the request.</summary>
    public HttpFaults CutBefore() => Add((_, _) => throw new HttpRequestException("cut before, as the test wished"));

    /// <summary>DynamoDB has done it, and its answer is lost.</summary>
    public HttpFaults CutAfter() => Add(async (send, _) =>
    {
        (await send()).Dispose();
        throw new HttpRequestException("cut after, as the test wished");
    });

    /// <summary>Nothing comes back.</summary>
    public HttpFaults Hang() => Add(async (_, cancellation) =>
    {
        await Task.Delay(Timeout.Infinite, cancellation);
        throw new InvalidOperationException();
    });

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _sends);
        if (_faults.TryDequeue(out var fault))
        {
            return await fault(() => base.SendAsync(request, cancellationToken), cancellationToken);
        }

        await (BeforeSend?.Invoke() ?? Task.CompletedTask);
        return await base.SendAsync(request, cancellationToken);
    }

    private HttpFaults Add(Func<Func<Task<HttpResponseMessage>>, CancellationToken, Task<HttpResponseMessage>> fault)
    {
        _faults.Enqueue(fault);
        return this;
    }
}
