using System.Net;
using System.Net.Sockets;
using AwsVpcCni.VpcEmulator.Fabric;

namespace AwsVpcCni.VpcEmulator.Imds;

/// <summary>One instance's metadata service, version 2 only (tokens required), at 169.254.169.254:80 in its namespace.</summary>
/// <remarks>The node's namespace holds the address on lo (<see cref="VpcFabric.AddNodeAsync"/>). The service listens on lo only: host-network
/// programs reach it, pods do not, as with EC2's default hop limit of 1.</remarks>
public sealed class ImdsServer : IAsyncDisposable
{
    private const string TokenPath = "/latest/api/token";
    private const string TokenHeader = "X-aws-ec2-metadata-token";
    private const string TtlHeader = "X-aws-ec2-metadata-token-ttl-seconds";
    private readonly Socket _socket;
    private readonly WebApplication _application;
    private readonly Func<ImdsInstance> _snapshot;
    private readonly ImdsTokens _tokens;

    private ImdsServer(Socket socket, Func<ImdsInstance> snapshot, TimeProvider time)
    {
        _socket = socket;
        _snapshot = snapshot;
        _tokens = new ImdsTokens(time);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(options =>
        {
            options.AddServerHeader = false;
            options.ListenHandle((ulong)socket.Handle);
        });
        _application = builder.Build();
        _application.Run(AnswerAsync);
    }

    /// <summary>Starts to answer in the namespace at <paramref name="namespacePath"/>; asks <paramref name="snapshot"/> anew for every request, from any thread.</summary>
    public static async Task<ImdsServer> StartAsync(
        string namespacePath, Func<ImdsInstance> snapshot, TimeProvider time, CancellationToken cancellation = default)
    {
        var endpoint = new IPEndPoint(new IPAddress([169, 254, 169, 254]), 80);
        var server = new ImdsServer(NetworkNamespace.Listen(namespacePath, endpoint, device: "lo"), snapshot, time);
        try
        {
            await server._application.StartAsync(cancellation);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>Stops answering and gives the namespace free.</summary>
    public async ValueTask DisposeAsync()
    {
        await _application.DisposeAsync();
        _socket.Dispose();
    }

    private Task AnswerAsync(HttpContext context)
    {
        var instance = _snapshot();
        var request = context.Request;
        if (!instance.Enabled)
        {
            return RefuseAsync(context, StatusCodes.Status403Forbidden);
        }

        if (HttpMethods.IsPut(request.Method))
        {
            return IssueAsync(context);
        }

        if (!HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method))
        {
            return RefuseAsync(context, StatusCodes.Status405MethodNotAllowed);
        }

        if (!_tokens.IsValid(request.Headers[TokenHeader]))
        {
            return RefuseAsync(context, StatusCodes.Status401Unauthorized);
        }

        return new ImdsTree(instance).Find(request.Path.Value!.TrimStart('/')) is { } content
            ? WriteAsync(context, content)
            : RefuseAsync(context, StatusCodes.Status404NotFound);
    }

    private Task IssueAsync(HttpContext context)
    {
        var headers = context.Request.Headers;

        // A forwarded request comes from outside the instance through an open proxy: it must not get a token.
        if (context.Request.Path != TokenPath || headers.ContainsKey("X-Forwarded-For"))
        {
            return RefuseAsync(context, StatusCodes.Status403Forbidden);
        }

        if (_tokens.Issue(headers[TtlHeader]) is not { } token)
        {
            return RefuseAsync(context, StatusCodes.Status400BadRequest);
        }

        context.Response.Headers[TtlHeader] = headers[TtlHeader];
        return WriteAsync(context, token);
    }

    private static Task RefuseAsync(HttpContext context, int status)
    {
        context.Response.StatusCode = status;
        return Task.CompletedTask;
    }

    private static Task WriteAsync(HttpContext context, string content)
    {
        context.Response.ContentType = "text/plain";
        return context.Response.WriteAsync(content, context.RequestAborted);
    }
}
