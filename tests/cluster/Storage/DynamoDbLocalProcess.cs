using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using AwsVpcCni.VpcEmulator.Fabric;

namespace AwsVpcCni.Tests.Cluster.Storage;

/// <summary>DynamoDB Local in a network namespace of its own, and nothing in it.</summary>
internal sealed class DynamoDbLocalProcess : IAsyncDisposable
{
    public const int Port = 8000;
    private static readonly TimeSpan FetchTakes = TimeSpan.FromMinutes(3); // The script gives up before.
    private static readonly TimeSpan StartTakes = TimeSpan.FromMinutes(1); // 3 s on an idle machine.

    private readonly Process _shell;

    private DynamoDbLocalProcess(Process shell) => _shell = shell;

    public string NetworkNamespacePath => $"/proc/{_shell.Id}/ns/net";

    /// <summary>Fetches it.</summary>
    /// <param name="repository">Its artifacts folder keeps it.</param>
    /// <returns>Null, or why it cannot be had.</returns>
    public static async Task<string?> WhyNotAsync(string repository)
    {
        using var script = Process.Start(new ProcessStartInfo(Path.Combine(repository, "scripts", "dynamodb-local.sh"), [FolderIn(repository)]) { RedirectStandardError = true })!;
        var said = script.StandardError.ReadToEndAsync();
        await script.WaitForExitAsync().WaitAsync(FetchTakes);
        return script.ExitCode != 0 ? (await said).Trim() : Environment.IsPrivilegedProcess ? null : "a network namespace for it takes root";
    }

    /// <summary>Starts what was fetched, until it answers.</summary>
    public static async Task<DynamoDbLocalProcess> StartAsync(string repository)
    {
        // The shell waits for the end of its input, which comes when the tests end, however they do.
        var folder = FolderIn(repository);
        var start = new ProcessStartInfo("unshare",
        [
            "--net", "sh", "-c",
            """
            ip link set lo up
            cd "$1"
            java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.library.path=DynamoDBLocal_lib -jar DynamoDBLocal.jar \
                -inMemory -sharedDb -disableTelemetry -port "$2" >"$1.log" 2>&1 </dev/null &
            read -r _
            kill $!
            wait
            """,
            "sh", folder, $"{Port}",
        ])
        { RedirectStandardInput = true };
        var local = new DynamoDbLocalProcess(Process.Start(start)!);
        using var patience = new CancellationTokenSource(StartTakes);
        using var http = new HttpClient(new SocketsHttpHandler { ConnectCallback = async (_, cancellation) => await local.ConnectAsync(Port, cancellation) });
        while (true)
        {
            try
            {
                using var answer = await http.GetAsync(new Uri($"http://127.0.0.1:{Port}"), patience.Token);
                return local;
            }
            catch (Exception e) when (e is HttpRequestException or IOException && !patience.IsCancellationRequested) // No namespace yet, or no listener.
            {
                await Task.Delay(100, patience.Token);
            }
            catch (OperationCanceledException)
            {
                await local.DisposeAsync();
                var said = File.Exists($"{folder}.log") ? File.ReadLines($"{folder}.log").LastOrDefault() : "it has no log";
                throw new TimeoutException($"waited {StartTakes.TotalSeconds} s for DynamoDB Local to answer; {folder}.log ends: {said}");
            }
        }
    }

    /// <summary>The process id of Java itself.</summary>
    public int Java() => int.Parse(File.ReadAllText($"/proc/{_shell.Id}/task/{_shell.Id}/children").Trim(), CultureInfo.InvariantCulture);

    /// <summary>TCP to a port of the namespace's loopback: a socket stays where it was made.</summary>
    public async Task<NetworkStream> ConnectAsync(int port, CancellationToken cancellation)
    {
        var socket = NetworkNamespace.Run(NetworkNamespacePath, () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true });
        try
        {
            await socket.ConnectAsync(IPAddress.Loopback, port, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _shell.StandardInput.Close(); // The shell ends it.
        await _shell.WaitForExitAsync().WaitAsync(StartTakes);
        _shell.Dispose();
    }

    private static string FolderIn(string repository) => Path.Combine(repository, "artifacts", "dynamodb-local");
}
