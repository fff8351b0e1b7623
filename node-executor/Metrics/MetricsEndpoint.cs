using System.Net;
using System.Net.Sockets;
using System.Text;
using AwsVpcCni.Core.Metrics;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Metrics;

/// <summary>Answers GET /metrics for Prometheus. Pods do not depend on it: what fails here is said, and tried again.</summary>
internal sealed partial class MetricsEndpoint(IPEndPoint at, Func<Task<string>> text, TimeProvider time, ILogger log)
{
    private const string Path = "/metrics";
    private static readonly TimeSpan AnswerDeadline = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan TryAgain = TimeSpan.FromSeconds(30);

    private readonly Repeated failures = new(time);

    /// <summary>Serves until it is stopped, as soon as the address is free.</summary>
    internal async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await ServeAsync(stop);
            }
            catch (Exception e) when (e is HttpListenerException or InvalidOperationException)
            {
                if (!stop.IsCancellationRequested && failures.Say($"Metrics cannot be served at {at}: {e.Message} Another program (aws-node?) may have the port; see AWS_VPC_CNI_METRICS_ADDRESS.") is { } line)
                {
                    LogNotServed(line);
                }
            }

            try
            {
                await Task.Delay(TryAgain, time, stop);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private async Task ServeAsync(CancellationToken stop)
    {
        using var listener = new HttpListener();
        listener.Prefixes.Add(at.Address.Equals(IPAddress.Any) ? $"http://*:{at.Port}/" : $"http://{at}/");
        if (at.Address.Equals(IPAddress.Loopback) && IsLocalhostHere())
        {
            listener.Prefixes.Add($"http://localhost:{at.Port}/"); // A prefix holds for the Host that is asked for, and listens at that name's first address.
        }

        listener.Start();
        LogServed(at);
        using var registration = stop.Register(listener.Stop);
        while (!stop.IsCancellationRequested)
        {
            var context = await listener.GetContextAsync();
            try
            {
                await AnswerAsync(context).WaitAsync(AnswerDeadline, time, CancellationToken.None); // One after another: a scrape takes a millisecond.
                context.Response.Close();
            }
            catch (Exception e) when (e is TimeoutException or HttpListenerException or ObjectDisposedException or IOException)
            {
                context.Response.Abort(); // It does not read, or has gone.
            }
            catch (Exception e)
            {
                LogDefect(e); // Of the text: nothing is sent yet.
                context.Response.StatusCode = 500;
                context.Response.Close();
            }
        }
    }

    private static bool IsLocalhostHere()
    {
        try
        {
            return Dns.GetHostAddresses("localhost").FirstOrDefault() is { } first && first.Equals(IPAddress.Loopback);
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private async Task AnswerAsync(HttpListenerContext context)
    {
        var (request, response) = (context.Request, context.Response);
        response.StatusCode = request.Url?.AbsolutePath is not Path ? 404 : request.HttpMethod is not "GET" ? 405 : 200;
        if (response.StatusCode == 200)
        {
            var body = Encoding.UTF8.GetBytes(await text());
            (response.ContentType, response.ContentLength64) = (PrometheusText.ContentType, body.Length);
            await response.OutputStream.WriteAsync(body);
        }
    }

    [LoggerMessage(EventId = 3070, Level = LogLevel.Information, Message = "Metrics are served at http://{At}/metrics.")]
    private partial void LogServed(IPEndPoint at);

    [LoggerMessage(EventId = 3071, Level = LogLevel.Warning, Message = "{Failure}")]
    private partial void LogNotServed(string failure);

    [LoggerMessage(EventId = 3072, Level = LogLevel.Error, Message = "Metrics could not be told: a defect.")]
    private partial void LogDefect(Exception defect);
}
