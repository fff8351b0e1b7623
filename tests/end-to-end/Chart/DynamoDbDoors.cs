using System.Net;
using System.Net.Sockets;
using AwsVpcCni.Tests.Cluster.Storage;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.VpcEmulator.Fabric;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Chart;

/// <summary>DynamoDB Local at port 8000 of loopback of each node that has a silo, in place of the way to the service. Nothing is looked at or refused here: tests/cluster does that.</summary>
internal sealed class DynamoDbDoors : IAsyncDisposable
{
    private readonly CancellationTokenSource end = new();
    private readonly DynamoDbLocalProcess dynamo;
    private readonly Socket[] sockets;
    private readonly Task[] doors;

    private DynamoDbDoors(DynamoDbLocalProcess dynamo, Socket[] sockets)
    {
        (this.dynamo, this.sockets) = (dynamo, sockets);
        doors = [.. sockets.Select(LetInAsync)];
    }

    /// <summary>Skips the test, saying why, where DynamoDB Local cannot be had.</summary>
    public static async Task<DynamoDbDoors> OpenOrSkipAsync(IEnumerable<string> namespaces)
    {
        var why = Environment.GetEnvironmentVariable("AWS_VPC_CNI_TEST_DYNAMODB") is { Length: > 0 } other ? $"AWS_VPC_CNI_TEST_DYNAMODB is {other}" : await DynamoDbLocalProcess.WhyNotAsync(Repository.Root);
        Assert.SkipWhen(why is not null, $"No DynamoDB Local: {why}");
        var dynamo = await DynamoDbLocalProcess.StartAsync(Repository.Root);
        try
        {
            return new DynamoDbDoors(dynamo, [.. namespaces.Select(name => NetworkNamespace.Listen(NetworkNamespace.PathOf(name), new IPEndPoint(IPAddress.Loopback, DynamoDbLocalProcess.Port)))]);
        }
        catch
        {
            await dynamo.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await end.CancelAsync();
        Array.ForEach(sockets, socket => socket.Dispose());
        await Task.WhenAll(doors);
        await dynamo.DisposeAsync();
        end.Dispose();
    }

    private async Task LetInAsync(Socket socket)
    {
        List<Task> connections = [];
        try
        {
            while (true)
            {
                connections.Add(PassAsync(await socket.AcceptAsync(end.Token)));
                connections.RemoveAll(connection => connection.IsCompleted);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException && end.IsCancellationRequested)
        {
            await Task.WhenAll(connections);
        }
    }

    /// <summary>Bytes both ways until one side ends.</summary>
    private async Task PassAsync(Socket accepted)
    {
        try
        {
            await using var here = new NetworkStream(accepted, ownsSocket: true);
            await using var there = await dynamo.ConnectAsync(DynamoDbLocalProcess.Port, end.Token);
            await await Task.WhenAny(here.CopyToAsync(there, end.Token), there.CopyToAsync(here, end.Token));
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
        {
            // Either side has gone, as on any network.
        }
    }
}
