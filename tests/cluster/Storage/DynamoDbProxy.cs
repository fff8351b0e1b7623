using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using AwsVpcCni.VpcEmulator.Iam;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;

namespace AwsVpcCni.Tests.Cluster.Storage;

/// <summary>The way to DynamoDB, for clients of this process and of others: it lets through what docs/iam/dynamodb.json grants to who is known, and
/// fails as DynamoDB and the network fail.</summary>
/// <remarks>As the service does, it looks at a request's credentials, then at its time, then at what is granted. It does not verify signatures.</remarks>
internal sealed class DynamoDbProxy : IAsyncDisposable
{
    /// <summary>The one access key id that is known.</summary>
    public const string AccessKey = "test"; // The cluster's name, as the emulator has it.

    public const string Region = "us-east-1";
    public const string Account = "123456789012";
    private static readonly TimeSpan Skew = TimeSpan.FromMinutes(5); // DynamoDB's own, by the text of its refusal.

    private readonly Socket _listening;
    private readonly HttpClient? _dynamo;
    private readonly WebApplication _door;
    private readonly ConcurrentQueue<StoreFault> _next = new();
    private int _sends;

    /// <param name="listening">In whatever network namespace. Owned from here on.</param>
    /// <param name="dynamo">With DynamoDB's address. Owned from here on; null: there is none, and each send meets a fault.</param>
    /// <param name="policy">Null: everybody may do everything.</param>
    public DynamoDbProxy(Socket listening, HttpClient? dynamo, IamPolicy? policy)
    {
        (_listening, _dynamo, Policy) = (listening, dynamo, policy);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(options => options.ListenHandle((ulong)listening.Handle));
        _door = builder.Build();
        _door.Run(AnswerAsync);
        _door.Start();
        Url = $"http://{listening.LocalEndPoint}";
    }

    /// <summary>Before nothing, for faults only.</summary>
    public static DynamoDbProxy WithoutDynamoDb()
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        socket.Listen();
        return new DynamoDbProxy(socket, null, null);
    }

    public string Url { get; }

    public IamPolicy? Policy { get; }

    /// <summary>Requests so far, those with a fault included.</summary>
    public int Sends => _sends;

    /// <summary>The codes with which it has refused by itself, not by a fault.</summary>
    public ConcurrentQueue<string> Refusals { get; } = new();

    /// <summary>Awaited before a send that meets no fault.</summary>
    public Func<Task>? BeforeSend { get; set; }

    /// <summary>The fault of each send for which none was queued; null: it goes through.</summary>
    public Func<StoreCall, StoreFault?> Always { get; set; } = _ => null;

    /// <summary>The next send that has none meets this one.</summary>
    public DynamoDbProxy Next(StoreFault fault)
    {
        _next.Enqueue(fault);
        return this;
    }

    public async ValueTask DisposeAsync()
    {
        await _door.DisposeAsync();
        _listening.Dispose();
        _dynamo?.Dispose();
    }

    private async Task AnswerAsync(HttpContext http)
    {
        Interlocked.Increment(ref _sends);
        using var bytes = new MemoryStream();
        await http.Request.Body.CopyToAsync(bytes, http.RequestAborted);
        var call = StoreCall.Of(http.Request, bytes.ToArray());
        var fault = _next.TryDequeue(out var queued) ? queued : Always(call);
        try
        {
            await Task.Delay(fault?.Delay ?? TimeSpan.Zero, http.RequestAborted);
            if (fault is null)
            {
                await (BeforeSend?.Invoke() ?? Task.CompletedTask);
            }

            var answer = fault is { Cut: true, IsAfterEffect: false } or { Code: not null } ? null : Refusal(call) ?? await PassAsync(http.Request, call.Body);
            if (fault is { Cut: true })
            {
                http.Abort();
                return;
            }

            answer ??= Answer.Of(fault!.Code!, fault.Message, fault.Status, fault.Reasons);
            http.Response.StatusCode = (int)answer.Status;
            foreach (var (name, value) in answer.Headers)
            {
                http.Response.Headers[name] = value;
            }

            http.Response.ContentLength = answer.Body.Length;
            await http.Response.Body.WriteAsync(answer.Body, http.RequestAborted);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // The client has given up.
        }
    }

    private Answer? Refusal(StoreCall call)
    {
        if (Policy is null)
        {
            return null;
        }

        if (call.AccessKey != AccessKey)
        {
            return Refused("UnrecognizedClientException", "The security token included in the request is invalid.");
        }

        var now = TimeProvider.System.GetUtcNow();
        if ((now - call.At).Duration() > Skew)
        {
            var (relation, bound, sign) = call.At < now ? ("Signature expired: {0} is now earlier than", now - Skew, '-') : ("Signature not yet current: {0} is still later than", now + Skew, '+');
            return Refused(
                "InvalidSignatureException",
                $"{string.Format(CultureInfo.InvariantCulture, relation, StoreCall.Text(call.At))} {StoreCall.Text(bound)} ({StoreCall.Text(now)} {sign} {Skew.TotalMinutes} min.)");
        }

        var refused = call.Parts
            .Select(part => new IamRequest($"dynamodb:{part.Action}", part.Table is { } table ? $"arn:aws:dynamodb:{Region}:{Account}:table/{table}" : "*", new Dictionary<string, string>()))
            .FirstOrDefault(request => !Policy.Allows(request));
        return refused is null ? null : Refused("AccessDeniedException", refused.Refusal(Account, call.AccessKey));
    }

    private Answer Refused(string code, string message)
    {
        Refusals.Enqueue(code);
        return Answer.Of(code, message, HttpStatusCode.BadRequest);
    }

    private async Task<Answer> PassAsync(HttpRequest request, byte[] body)
    {
        // Not with the client's token: what DynamoDB has got it does, whoever waits.
        using var passed = new HttpRequestMessage(HttpMethod.Post, "") { Content = new ByteArrayContent(body) };
        foreach (var (name, value) in request.Headers.Where(header => header.Key is not ("Host" or "Connection" or "Content-Length" or "Transfer-Encoding" or "Expect")))
        {
            if (!passed.Headers.TryAddWithoutValidation(name, (IEnumerable<string>)value!))
            {
                passed.Content.Headers.TryAddWithoutValidation(name, (IEnumerable<string>)value!);
            }
        }

        using var answer = await _dynamo!.SendAsync(passed, CancellationToken.None);
        return new Answer(
            answer.StatusCode,
            [.. answer.Headers.Concat(answer.Content.Headers).Where(header => header.Key is "Content-Type" or "x-amz-crc32" or "x-amzn-RequestId").Select(header => (header.Key, string.Join(',', header.Value)))],
            await answer.Content.ReadAsByteArrayAsync(CancellationToken.None));
    }

    private sealed record Answer(HttpStatusCode Status, IReadOnlyList<(string Name, string Value)> Headers, byte[] Body)
    {
        public static Answer Of(string code, string message, HttpStatusCode status, IReadOnlyList<string>? reasons = null)
        {
            var body = new Dictionary<string, object> { ["__type"] = $"com.amazon.coral.service#{code}", ["message"] = message };
            if (reasons is not null)
            {
                body["CancellationReasons"] = reasons.Select(reason => reason == "None"
                    ? new Dictionary<string, string> { ["Code"] = reason } : new() { ["Code"] = reason, ["Message"] = $"{reason}, as the test wished" }).ToArray();
            }

            return new Answer(status, [("Content-Type", "application/x-amz-json-1.0")], JsonSerializer.SerializeToUtf8Bytes(body));
        }
    }
}

/// <summary>What becomes of a send instead of its answer.</summary>
internal sealed record StoreFault
{
    private StoreFault()
    {
    }

    /// <summary>The connection ends before DynamoDB has the request.</summary>
    public static StoreFault CutBefore { get; } = new() { Cut = true };

    /// <summary>DynamoDB has done it, and its answer is lost.</summary>
    public static StoreFault CutAfter { get; } = new() { Cut = true, IsAfterEffect = true };

    /// <summary>Nothing comes back.</summary>
    public static StoreFault Hang { get; } = new() { Delay = Timeout.InfiniteTimeSpan };

    public TimeSpan Delay { get; private init; }

    public bool Cut { get; private init; }

    public bool IsAfterEffect { get; private init; }

    public string? Code { get; private init; }

    public string Message { get; private init; } = "as the test wished";

    public HttpStatusCode Status { get; private init; } = HttpStatusCode.BadRequest;

    /// <summary>Of a cancelled transaction.</summary>
    public IReadOnlyList<string>? Reasons { get; private init; }

    /// <summary>DynamoDB refuses it.</summary>
    public static StoreFault Refused(string code, HttpStatusCode status = HttpStatusCode.BadRequest) => new() { Code = code, Status = status };

    /// <summary>DynamoDB cancels a transaction.</summary>
    /// <param name="reasons">A code for each of its parts, in their order: <c>None</c> for one that could have been done.</param>
    public static StoreFault Cancelled(params string[] reasons) => new()
    {
        Code = "TransactionCanceledException",
        Message = $"Transaction cancelled, please refer cancellation reasons for specific reasons [{string.Join(", ", reasons)}]",
        Reasons = reasons,
    };

    /// <summary>It goes through later, unless the client has given up by then.</summary>
    public static StoreFault Late(TimeSpan delay) => new() { Delay = delay };
}

/// <summary>A request to DynamoDB.</summary>
/// <param name="Operation">Of its API: <c>PutItem</c>, <c>TransactWriteItems</c>.</param>
/// <param name="Parts">What IAM is asked for: an action on a table; several for a transaction.</param>
internal sealed record StoreCall(string Operation, string AccessKey, DateTimeOffset At, byte[] Body, IReadOnlyList<(string Action, string? Table)> Parts)
{
    private const string TimeForm = "yyyyMMdd'T'HHmmss'Z'";

    /// <summary>A time as signatures have it.</summary>
    public static string Text(DateTimeOffset time) => time.UtcDateTime.ToString(TimeForm, CultureInfo.InvariantCulture);

    public static StoreCall Of(HttpRequest request, byte[] body)
    {
        var operation = request.Headers["X-Amz-Target"].ToString().Split('.')[^1];
        var signed = request.Headers.Authorization.ToString(); // AWS4-HMAC-SHA256 Credential=KEY/20261125/us-east-1/dynamodb/aws4_request, ...
        var key = signed.Split("Credential=") is [_, var rest] ? rest.Split('/')[0] : "";
        var at = DateTimeOffset.TryParseExact(request.Headers["X-Amz-Date"], TimeForm, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) ? time : DateTimeOffset.MinValue;
        using var json = JsonDocument.Parse(body.Length == 0 ? "{}"u8.ToArray() : body);
        return new StoreCall(operation, key, at, body, [.. PartsOf(operation, json.RootElement)]);
    }

    private static IEnumerable<(string Action, string? Table)> PartsOf(string operation, JsonElement body) => body.TryGetProperty("TransactItems", out var items)
        ? items.EnumerateArray().SelectMany(item => item.EnumerateObject())
            .Select(part => (part.Name == "ConditionCheck" ? "ConditionCheckItem" : $"{part.Name}Item", part.Value.GetProperty("TableName").GetString()))
        : [(operation, body.TryGetProperty("TableName", out var table) ? table.GetString() : null)];
}
