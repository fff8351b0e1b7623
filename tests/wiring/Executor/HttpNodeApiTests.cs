using System.Net;
using System.Net.Sockets;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Executor;

public sealed class HttpNodeApiTests
{
    private static readonly TimeSpan CallersDeadline = new LeaseLinkOptions().CallDeadline;
    private static readonly ReleaseRequest Request = new(new Stamp(1, 1), new SandboxKey("c1", "eth0"), null, 0);

    [Fact]
    public async Task A_silo_that_takes_a_request_and_says_nothing_is_left_out_before_the_caller_gives_up()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        await using var answers = await AnsweringSiloAsync();
        var token = Path.GetTempFileName();
        try
        {
            var time = new FakeTimeProvider();
            using var api = new HttpNodeApi([new Uri($"http://{silent.LocalEndpoint}"), new Uri(answers.Urls.First())], token, null, time);
            using var caller = new CancellationTokenSource(CallersDeadline, time);
            var call = api.ReleaseAsync(Request, caller.Token);
            using var taken = await silent.AcceptSocketAsync(TestContext.Current.CancellationToken);
            await taken.ReceiveAsync(new byte[1]);

            time.Advance(CallersDeadline - TimeSpan.FromMilliseconds(100));
            Assert.True((await call.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken)).Known);
            Assert.True((await api.ReleaseAsync(Request, CancellationToken.None)).Known); // Asks the other one at once: no time goes by here.
        }
        finally
        {
            File.Delete(token);
        }
    }

    [Theory] // A store that is away, or a grain that does not answer; and no silo at all.
    [InlineData(503, false)]
    [InlineData(504, false)]
    [InlineData(null, true)]
    public async Task Silos_that_fail_are_there_and_a_fleet_looks_for_no_others(int? status, bool isLost)
    {
        await using var fails = await AnsweringSiloAsync(status);
        var token = Path.GetTempFileName();
        try
        {
            using var api = new HttpNodeApi([new Uri(fails.Urls.First())], token, null, TimeProvider.System);
            if (status is null)
            {
                await fails.StopAsync(TestContext.Current.CancellationToken);
            }

            await Assert.ThrowsAsync<NodeApiException>(() => api.ReleaseAsync(Request, TestContext.Current.CancellationToken));
            Assert.Equal(isLost, api.IsLost);
        }
        finally
        {
            File.Delete(token);
        }
    }

    /// <param name="status">What it answers in place of a reply.</param>
    private static async Task<WebApplication> AnsweringSiloAsync(int? status = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        var silo = builder.Build();
        silo.MapPost("/node/v1/release", (HttpContext http) =>
        {
            http.Response.StatusCode = status ?? StatusCodes.Status200OK;
            return http.Response.WriteAsJsonAsync(new ReleaseReply { Known = true }, NodeJson.Default.ReleaseReply);
        });
        await silo.StartAsync(TestContext.Current.CancellationToken);
        return silo;
    }
}
