using System.Net;
using System.Net.Sockets;
using AwsVpcCni.NodeExecutor.Metrics;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Metrics;

public sealed class MetricsEndpointTests : IAsyncDisposable
{
    private readonly HttpClient http = new();
    private readonly CancellationTokenSource stop = new();
    private readonly int port = FreePort();
    private readonly Task serving;
    private Func<Task<string>> text = () => Task.FromResult("one 1\n");

    public MetricsEndpointTests() =>
        serving = new MetricsEndpoint(new IPEndPoint(IPAddress.Loopback, port), () => text(), TimeProvider.System, NullLogger.Instance).RunAsync(stop.Token);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await serving;
        http.Dispose();
        stop.Dispose();
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("localhost")]
    public async Task Prometheus_is_answered_by_either_name(string host)
    {
        using var answer = await http.GetAsync(new Uri($"http://{host}:{port}/metrics"), Token);
        Assert.Equal((HttpStatusCode.OK, "text/plain; version=0.0.4; charset=utf-8", "one 1\n"),
            (answer.StatusCode, answer.Content.Headers.ContentType?.ToString(), await answer.Content.ReadAsStringAsync(Token)));
    }

    [Fact]
    public async Task Other_paths_and_methods_are_refused()
    {
        using var elsewhere = await http.GetAsync(new Uri($"http://127.0.0.1:{port}/"), Token);
        using var posted = await http.PostAsync(new Uri($"http://127.0.0.1:{port}/metrics"), null, Token);
        Assert.Equal((HttpStatusCode.NotFound, HttpStatusCode.MethodNotAllowed), (elsewhere.StatusCode, posted.StatusCode));
    }

    [Fact]
    public async Task A_defect_in_the_text_costs_one_answer_and_not_the_executor()
    {
        var healthy = text;
        text = () => throw new KeyNotFoundException("as the test wished");
        using var refused = await http.GetAsync(new Uri($"http://127.0.0.1:{port}/metrics"), Token);
        Assert.Equal(HttpStatusCode.InternalServerError, refused.StatusCode);
        text = healthy;
        Assert.Equal("one 1\n", await http.GetStringAsync(new Uri($"http://127.0.0.1:{port}/metrics"), Token));
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
