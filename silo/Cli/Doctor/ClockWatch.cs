using System.Collections.Concurrent;
using System.Globalization;
using Amazon.Runtime;
using AwsVpcCni.Silo.NodeApi;

namespace AwsVpcCni.Silo.Cli.Doctor;

/// <summary>How far this machine's clock is from those of the services, by the date in their answers.</summary>
/// <param name="time">This machine's clock.</param>
/// <param name="way">To the services; null: the ordinary one.</param>
internal sealed class ClockWatch(TimeProvider time, HttpMessageHandler? way = null) : HttpClientFactory
{
    // A date in an answer has whole seconds: on average it is half of one ago.
    private static readonly TimeSpan HalfASecond = TimeSpan.FromSeconds(0.5);

    private readonly ConcurrentDictionary<string, (TimeSpan Ahead, TimeSpan Took)> _seen = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public override HttpClient CreateHttpClient(IClientConfig clientConfig) =>
        new(new Watch(this) { InnerHandler = way ?? new SocketsHttpHandler { AllowAutoRedirect = false } });

    /// <summary>A line for each service that has answered.</summary>
    public IEnumerable<Finding> Look()
    {
        if (_seen.IsEmpty)
        {
            yield return new Finding("clock", Outcome.NotTried, "No service has answered with a date.");
        }

        foreach (var (host, (ahead, _)) in _seen.OrderBy(seen => seen.Key, StringComparer.Ordinal))
        {
            var off = string.Create(CultureInfo.InvariantCulture, $"{Math.Abs(ahead.TotalSeconds):0} s {(ahead > TimeSpan.Zero ? "ahead of" : "behind")} {host}");
            yield return ahead.Duration() < NodeTokens.ClockSkew + HalfASecond
                ? new Finding("clock", Outcome.Ok, off)
                : new Finding("clock", Outcome.Failed, string.Create(CultureInfo.InvariantCulture,
                    $"{off}: from {NodeTokens.ClockSkew.TotalSeconds:0} s on nodes' tokens may be refused, and from 5 min on AWS refuses every call. Set the clock (chrony, systemd-timesyncd)."));
        }
    }

    private void Note(string host, DateTimeOffset sent, DateTimeOffset answered, DateTimeOffset told)
    {
        var seen = (Ahead: sent + ((answered - sent) / 2) - (told + HalfASecond), Took: answered - sent);
        _seen.AddOrUpdate(host, seen, (_, best) => best.Took <= seen.Took ? best : seen);
    }

    private sealed class Watch(ClockWatch clock) : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var sent = clock.Now;
            var answer = await base.SendAsync(request, cancellationToken);
            if (answer.Headers.Date is { } told)
            {
                clock.Note(request.RequestUri!.Authority, sent, clock.Now, told);
            }

            return answer;
        }
    }

    private DateTimeOffset Now => time.GetUtcNow();
}
