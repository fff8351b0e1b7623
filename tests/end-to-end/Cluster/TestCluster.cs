using System.Collections.Immutable;
using AwsVpcCni.Tests.EndToEnd.Harness;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>A whole cluster of shipped programs on an emulated VPC: emulator, silo, and on each node an executor and containerd.</summary>
/// <remarks>Its files are in the work folder, /run/aws-vpc-cni-test/NAME; its logs are in artifacts/test-logs/NAME afterwards.</remarks>
internal sealed class TestCluster : IAsyncDisposable
{
    private readonly List<IAsyncDisposable> parts = []; // In the order of their starts.

    private TestCluster(WorkFolder work) => Work = work;

    public WorkFolder Work { get; }

    public EmulatorProcess Emulator { get; private set; } = null!;

    public SiloProcess Silo { get; private set; } = null!;

    public ImmutableArray<ClusterNode> Nodes { get; private set; } = [];

    /// <summary>The other cluster on the same emulator; null: the settings have none.</summary>
    public TestCluster? Neighbour { get; private set; }

    /// <summary>Starts everything, and waits until pods can be run on each node. Executors start together, so that their joins share a batch.</summary>
    /// <param name="progress">Hears of each part that has started.</param>
    public static async Task<TestCluster> StartAsync(ClusterSettings settings, Action<string>? progress = null)
    {
        progress ??= _ => { };
        var cluster = new TestCluster(await WorkFolder.ClaimAsync(settings.Name));
        try
        {
            cluster.parts.Add(cluster.Work);
            cluster.parts.Add(cluster.Emulator = await EmulatorProcess.StartAsync(cluster.Work, settings));
            progress("  the VPC is there: a namespace for the silo and for each node, and a router between them");
            await cluster.StartPartsAsync(settings, progress);
            if (settings.Neighbour is { } other)
            {
                cluster.parts.Add(cluster.Neighbour = new TestCluster(cluster.Work) { Emulator = cluster.Emulator });
                await cluster.Neighbour.StartPartsAsync(other, progress);
            }

            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Whether the EC2 calls so far are as promised; with what the checker says.</summary>
    public Task<(int ExitCode, string Output)> CheckCallsAsync() => Emulator.CheckCallsAsync(Silo.Joins());

    /// <summary>Ends all parts, the last one first. Each is ended, whatever becomes of the others.</summary>
    public async ValueTask DisposeAsync()
    {
        List<Exception> failures = [];
        var ending = Enumerable.Reverse(parts).ToList();
        parts.Clear(); // A neighbour may be ended earlier, by the test.
        foreach (var part in ending)
        {
            try
            {
                await part.DisposeAsync();
            }
            catch (Exception e)
            {
                failures.Add(e);
            }
        }

        if (failures.Count > 0)
        {
            throw new AggregateException("The cluster was not taken down in order.", failures);
        }
    }

    private async Task StartPartsAsync(ClusterSettings settings, Action<string> progress)
    {
        parts.Add(Silo = await SiloProcess.StartAsync(Work, settings));
        progress("  the silo is ready");
        for (var index = 0; index < settings.Nodes.Length; index++)
        {
            var node = await ClusterNode.StartAsync(Work, settings, index, await Silo.IssueTokenAsync(settings.InstanceIdOf(index)));
            parts.Add(node);
            Nodes = Nodes.Add(node);
            progress($"  containerd runs on {node.Name}");
        }

        if (settings.BeforeJoins is { } first)
        {
            await first(Emulator);
        }

        foreach (var node in Nodes)
        {
            node.StartExecutor();
        }

        foreach (var node in Nodes)
        {
            await node.ServableAsync();
            progress($"  {node.Name} has joined and can run pods");
        }
    }
}
