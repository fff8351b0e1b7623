using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using AwsVpcCni.VpcEmulator.Fabric;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>GET /metrics of an executor's process, as Prometheus sends it.</summary>
public sealed class MetricsTests
{
    private static async Task<(HttpStatusCode Status, string Body, string? Type)> GetAsync(ExecutorNode node, string path = "/metrics", string address = "127.0.0.1:61678", HttpMethod? method = null)
    {
        using var http = new HttpClient(new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (context, cancellation) =>
            {
                var socket = NetworkNamespace.Run(TestNode.Path(node.Name), () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
                await socket.ConnectAsync(IPEndPoint.Parse($"{context.DnsEndPoint.Host}:{context.DnsEndPoint.Port}"), cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            },
        })
        { Timeout = TimeSpan.FromSeconds(20) };
        using var answer = await http.SendAsync(new HttpRequestMessage(method ?? HttpMethod.Get, $"http://{address}{path}"), TestContext.Current.CancellationToken);
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), answer.Content.Headers.ContentType?.ToString());
    }

    [Fact]
    public async Task It_counts_what_plugins_were_answered_and_shows_the_lease()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"));
        await PluginClient.AddAsync(node.Socket, "c2", node.AddPod("p2"), config: "{");
        await PluginClient.DelAsync(node.Socket, "never-seen");

        var (status, text, type) = await GetAsync(node);
        Assert.Equal((HttpStatusCode.OK, "text/plain; version=0.0.4; charset=utf-8"), (status, type));
        Assert.All(
            (string[])[
                "requests_total{command=\"ADD\",code=\"0\"} 1", "requests_total{command=\"ADD\",code=\"6\"} 1", "requests_total{command=\"DEL\",code=\"0\"} 1",
                "request_seconds_count{command=\"ADD\"} 2", "addresses{state=\"in_use\"} 1", "addresses{state=\"free\"} 4", "interfaces{state=\"set_up\"} 1", "silo_failures_total 0",
                "repairs_total{kind=\"Rule\"} 0",
            ],
            line => Assert.Contains($"\naws_vpc_cni_node_{line}\n", text, StringComparison.Ordinal));
        Assert.InRange(double.Parse(Regex.Match(text, "silo_contact_seconds ([0-9.]+)").Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture), 0, 15);

        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync(node, "/")).Status);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await GetAsync(node, method: HttpMethod.Post)).Status);
        Assert.Equal(0, (await executor.TerminateAsync()).ExitCode); // It keeps nobody from stopping.
    }

    [Fact]
    public async Task A_taken_port_keeps_no_pod_from_starting_and_is_taken_when_it_is_free()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await TakenAsync();
        await executor.SaysAsync("Metrics are served at http://127.0.0.1:61678/metrics");
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(node)).Status);

        async Task<ExecutorNode.Running> TakenAsync()
        {
            using var other = NetworkNamespace.Listen(TestNode.Path(node.Name), new IPEndPoint(IPAddress.Loopback, 61678));
            var running = node.Launch();
            await running.SaysAsync("Metrics cannot be served at 127.0.0.1:61678");
            await running.SaysAsync("This node can serve");
            return running;
        }
    }

    [Theory]
    [InlineData("AWS_VPC_CNI_METRICS_ADDRESS", "none")]
    [InlineData("DISABLE_METRICS", "true")]
    public async Task It_can_be_switched_off(string variable, string value)
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Settings[variable] = value;
        await (await node.RunAsync()).SaysAsync("This node can serve");
        await Assert.ThrowsAsync<HttpRequestException>(() => GetAsync(node));
    }

    [Fact]
    public async Task It_is_served_where_the_setting_says()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Settings["AWS_VPC_CNI_METRICS_ADDRESS"] = "0.0.0.0:9100";
        await (await node.RunAsync()).SaysAsync("Metrics are served at http://0.0.0.0:9100/metrics");
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(node, address: "127.0.0.1:9100")).Status);
    }
}
