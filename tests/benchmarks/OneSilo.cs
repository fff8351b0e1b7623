using AwsVpcCni.Benchmarks.StoreCost;
using AwsVpcCni.Tests.Cluster.Silos;
using AwsVpcCni.Tests.Cluster.Storage;

namespace AwsVpcCni.Benchmarks;

/// <summary>One shipped silo on SQLite, and nodes with addresses that ask its node API for ADDs: what others cost them is measured beside it.</summary>
internal sealed class OneSilo : IAsyncDisposable
{
    /// <summary>ADDs of all nodes together.</summary>
    public const double AddsASecond = 100;

    public static readonly StoreSize Size = new([.. Enumerable.Range(1, 16).Select(n => $"i-{n:x17}")], 49);

    private const double WarmUp = 3; // Seconds.
    private readonly Stack<Func<ValueTask>> _ends = new();

    private OneSilo()
    {
    }

    public DynamoDbLocal Dynamo { get; } = new(); // Its network namespace, and no table.

    public SiloProcesses Silos { get; private set; } = null!;

    public Rounds Rounds { get; private set; } = null!;

    /// <summary>The process of the silo.</summary>
    public int Process => Silos.ProcessOf(1);

    /// <param name="folder">Below artifacts, for its database.</param>
    /// <param name="others">Instances of the VPC that join by themselves.</param>
    public static async Task<OneSilo> StartAsync(string folder, IEnumerable<string> others, CancellationToken cancellation)
    {
        var one = new OneSilo();
        try
        {
            await one.StartAsync(Store.Empty(folder), others, cancellation);
            return one;
        }
        catch
        {
            await one.DisposeAsync();
            throw;
        }
    }

    /// <summary>ADDs at their rate for so many seconds.</summary>
    /// <returns>How long each took, in ms.</returns>
    public async Task<List<double>> AddsAsync(double seconds, CancellationToken cancellation) => (await Rounds.PacedAsync(AddsASecond, seconds, cancellation)).Took;

    public async ValueTask DisposeAsync()
    {
        while (_ends.TryPop(out var end))
        {
            await end();
        }
    }

    private async Task StartAsync(DirectoryInfo folder, IEnumerable<string> others, CancellationToken cancellation)
    {
        _ends.Push(() =>
        {
            folder.Delete(recursive: true);
            return ValueTask.CompletedTask;
        });
        _ends.Push(Dynamo.DisposeAsync);
        await Dynamo.InitializeAsync();
        var unused = new DynamoDbStore(Dynamo);
        _ends.Push(unused.DisposeAsync);
        Silos = new SiloProcesses(Dynamo, unused, new Dictionary<string, string>
        {
            ["Ec2__Endpoint"] = Ec2Process.Endpoint,
            ["Pool__MinimumIps"] = $"{Size.Addresses}",
            ["Pool__WarmIps"] = "0",
            ["Pool__MaxEnis"] = "1",
            ["Pool__Cooldown"] = "00:00:00",
            ["Pool__PreferredRest"] = "00:00:00",
            ["Storage__Provider"] = "sqlite",
            ["Storage__Path"] = Path.Combine(folder.FullName, "silo.db"),
            ["Silo__Clustering"] = "single",
        }, Path.Combine(Tests.Cluster.Repository.Root, "artifacts", "silo", "silo"));
        _ends.Push(Silos.DisposeAsync);
        var ec2 = await Ec2Process.StartAsync(Dynamo, Silos.Folder, Fleet.Vpc([.. Size.Nodes, .. others], "m5.24xlarge"), cancellation);
        _ends.Push(ec2.DisposeAsync);
        await Silos.StartAllAsync(1, cancellation);
        var assigns = await SiloAssigns.JoinAsync(Dynamo, Silos, Size, cancellation);
        _ends.Push(() =>
        {
            assigns.Dispose();
            return ValueTask.CompletedTask;
        });
        Rounds = assigns.Rounds;
        Progress.Say($"{Size.Nodes.Count} nodes have {Size.Addresses} addresses each; {AddsASecond} ADDs a second");
        await AddsAsync(WarmUp, cancellation);
    }
}
