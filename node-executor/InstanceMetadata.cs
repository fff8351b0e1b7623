using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;

namespace AwsVpcCni.NodeExecutor;

/// <summary>The instance metadata service (IMDSv2): who this machine is, and what it says of the VPC.</summary>
internal static class InstanceMetadata
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(2);

    /// <returns>The instance id.</returns>
    /// <exception cref="IOException">The service does not say it, and why.</exception>
    internal static Task<string> InstanceIdAsync(Uri imds, TimeProvider time) => AskAsync(imds, time, ask => ask("instance-id"));

    /// <returns>The primary interface's MAC and address, and all IPv4 ranges of the VPC as they are now.</returns>
    /// <exception cref="IOException">The service does not say them, and why.</exception>
    internal static Task<PrimaryFacts> PrimaryAsync(Uri imds, TimeProvider time) => AskAsync(imds, time, async ask =>
    {
        var mac = await ask("mac");
        var cidrs = (await ask($"network/interfaces/macs/{mac}/vpc-ipv4-cidr-blocks")).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return cidrs.Length == 0
            ? throw new FormatException("no VPC range")
            : new PrimaryFacts(mac, Ip.Parse(await ask("local-ipv4")), [.. cidrs.Select(Cidr.Parse)]);
    });

    private static async Task<T> AskAsync<T>(Uri imds, TimeProvider time, Func<Func<string, Task<string>>, Task<T>> questions)
    {
        using var deadline = new CancellationTokenSource(Deadline, time);
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { MaxResponseContentBufferSize = 4096 };
        var asked = "PUT token";
        try
        {
            using var session = new HttpRequestMessage(HttpMethod.Put, new Uri(imds, "/latest/api/token"));
            session.Headers.Add("X-aws-ec2-metadata-token-ttl-seconds", "60");
            using var answer = await http.SendAsync(session, deadline.Token);
            answer.EnsureSuccessStatusCode();
            var token = await answer.Content.ReadAsStringAsync(deadline.Token);
            return await questions(async path =>
            {
                asked = $"GET {path}";
                using var question = new HttpRequestMessage(HttpMethod.Get, new Uri(imds, "/latest/meta-data/" + path));
                question.Headers.Add("X-aws-ec2-metadata-token", token);
                using var said = await http.SendAsync(question, deadline.Token);
                said.EnsureSuccessStatusCode();
                return (await said.Content.ReadAsStringAsync(deadline.Token)).Trim();
            });
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or FormatException)
        {
            throw new IOException($"{asked}: {(e is OperationCanceledException ? $"no answer within {Deadline.TotalSeconds:0} s" : e.Message)}", e);
        }
    }
}

/// <summary>What the metadata service says of the primary interface.</summary>
/// <param name="Mac">As it writes it.</param>
/// <param name="Address">The node's own.</param>
/// <param name="VpcCidrs">IPv4; never empty.</param>
internal sealed record PrimaryFacts(string Mac, Ip Address, ImmutableArray<Cidr> VpcCidrs)
{
    internal static bool IsSame(PrimaryFacts? one, PrimaryFacts? other) =>
        one is null ? other is null : other is not null && (one.Mac, one.Address) == (other.Mac, other.Address) && one.VpcCidrs.SequenceEqual(other.VpcCidrs);
}
