using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.NodeApi;

/// <summary>Leads one request to the calling node's grain and its answer back, in limited time.</summary>
internal sealed partial class NodeCalls(IGrainFactory grains, IOptions<NodeApiOptions> options, NodeApiMetrics metrics, TimeProvider time, ILogger<NodeCalls> logger)
{
    private readonly TimeSpan _deadline = options.Value.CallDeadline;

    /// <summary>The grain of the node that the caller's token names; never of one that a request names.</summary>
    public INodeGrain CallerOf(HttpContext http) => grains.GetGrain<INodeGrain>(
        NodeTokens.InstanceId(http.User) ?? throw new InvalidOperationException("The node API was entered without a node's token."));

    /// <summary>Reads the request, calls the grain, writes the reply or a refusal.</summary>
    public async Task AnswerAsync<TRequest, TReply>(
        HttpContext http, JsonTypeInfo<TRequest> requestType, JsonTypeInfo<TReply> replyType,
        Func<INodeGrain, TRequest, Task<TReply>> call)
        where TRequest : class
    {
        using var deadline = new CancellationTokenSource(_deadline, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, http.RequestAborted);
        TReply reply;
        try
        {
            if (await ReadAsync(http, requestType).WaitAsync(either.Token) is not { } request)
            {
                return;
            }

            // The grain's work goes on when nobody waits any more: a write given up half-way would leave it and its store apart.
            reply = await call(CallerOf(http), request).WaitAsync(either.Token);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            return; // The executor has hung up; it asks again with the same number.
        }
        catch (OperationCanceledException)
        {
            await Problems.WriteAsync(http, StatusCodes.Status504GatewayTimeout, "no answer in time",
                $"The node's grain did not answer within {_deadline.TotalSeconds} s: the silo or its store is busy. Whether the call had its effect is not known; send it again with the same number.");
            return;
        }
        catch (Exception e)
        {
            // The border: whatever a grain throws, the executor gets a refusal that it can act on.
            if (e is OrleansMessageRejectionException)
            {
                LogNotTaken(http.Request.Path, NodeTokens.InstanceId(http.User), e.Message);
            }
            else
            {
                LogFailed(http.Request.Path, NodeTokens.InstanceId(http.User), e);
            }

            await Problems.WriteAsync(http, StatusCodes.Status503ServiceUnavailable, "the node's grain failed",
                $"{e.Message} Whether the call had its effect is not known; send it again with the same number.");
            return;
        }

        await http.Response.WriteAsJsonAsync(reply, replyType, "application/json", http.RequestAborted);
    }

    private async Task<TRequest?> ReadAsync<TRequest>(HttpContext http, JsonTypeInfo<TRequest> type)
        where TRequest : class
    {
        try
        {
            if (await JsonSerializer.DeserializeAsync(http.Request.Body, type, http.RequestAborted) is { } request)
            {
                return request;
            }

            metrics.Refused(NodeApiRefusal.Unreadable);
            await Problems.WriteAsync(http, StatusCodes.Status400BadRequest, "no request", "The body is `null`. Send the call's record as JSON.");
        }
        catch (JsonException e)
        {
            metrics.Refused(NodeApiRefusal.Unreadable);
            await Problems.WriteAsync(http, StatusCodes.Status400BadRequest, "the request cannot be read",
                $"The body is not the JSON of this call: {e.Message} Run an executor of a version within one of the silo's.");
        }
        catch (BadHttpRequestException e)
        {
            metrics.Refused(e.StatusCode == StatusCodes.Status413PayloadTooLarge ? NodeApiRefusal.TooLarge : NodeApiRefusal.Unreadable);
            await Problems.WriteAsync(http, e.StatusCode, "the request is refused", $"{e.Message} A body may have {http.GetEndpoint()?.Metadata.GetMetadata<Bodies>()?.MaxRequestBodySize} bytes.");
        }

        return null;
    }

    [LoggerMessage(EventId = 3101, Level = LogLevel.Warning, Message = "The grain of {InstanceId} failed in {Path}.")]
    private partial void LogFailed(PathString path, string? instanceId, Exception exception);

    [LoggerMessage(EventId = 3103, Level = LogLevel.Warning, Message = "No silo has taken the call {Path} of {InstanceId}: {Why}")]
    private partial void LogNotTaken(PathString path, string? instanceId, string why);
}
