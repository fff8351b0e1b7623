using System.Globalization;
using AwsVpcCni.Tests.EndToEnd.Containerd;
using AwsVpcCni.Tests.EndToEnd.Harness;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>Two pods, and one TCP connection between them that carries a line each fifth of a second.</summary>
/// <remarks>`nc` ends with its connection, so more lines mean that it is still the first one.</remarks>
internal sealed class Heartbeat(Cri servers, Cri clients, Pod server, Pod client)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public Pod Server => server;

    public Pod Client => client;

    public static async Task<Heartbeat> StartAsync(Cri servers, Cri clients)
    {
        var server = await servers.RunPodAsync("server", command: ["sh", "-c", "sleep 1000 | nc -l -p 9000 >/tmp/lines"]);
        var client = await clients.RunPodAsync("client", command: ["sh", "-c", $"(while true; do echo tick; sleep 0.2; done) | nc {server.Address} 9000; sleep 1000"]);
        var heartbeat = new Heartbeat(servers, clients, server, client);
        await heartbeat.GoesOnAsync();
        return heartbeat;
    }

    /// <summary>Until a line more has come.</summary>
    public async Task GoesOnAsync()
    {
        var before = await LinesAsync();
        await Eventually.HoldsAsync("more lines on the open connection", Patience, async _ => await LinesAsync() is var now && now > before ? null : $"{now} lines");
    }

    public async Task StopAsync()
    {
        await clients.StopAndRemoveAsync(client);
        await servers.StopAndRemoveAsync(server);
    }

    private async Task<int> LinesAsync() => int.Parse(await servers.ExecAsync(server, "sh", "-c", "wc -l </tmp/lines"), CultureInfo.InvariantCulture);
}
