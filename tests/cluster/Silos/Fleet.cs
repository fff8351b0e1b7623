using System.Globalization;
using System.Net.Http.Json;
using AwsVpcCni.Tests.Cluster.Storage;
using AwsVpcCni.VpcEmulator.Control;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>Three real silos on DynamoDB Local and the emulated EC2, and nodes whose executors are in this process.</summary>
internal sealed class Fleet : IAsyncDisposable
{
    public const int SiloCount = 3;

    /// <summary>Short, so that addresses are used again within a run.</summary>
    public static readonly TimeSpan Cooldown = TimeSpan.FromSeconds(10);

    private const string SubnetId = "subnet-0123456789abcdef0";

    private readonly DynamoDbLocal _dynamo;
    private readonly Ec2Process _ec2;
    private readonly HttpClient _http;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lookLock = new();
    private Task<VpcState>? _look;
    private long _lookedAt;
    private Task _watching = Task.CompletedTask;
    private Queue<Func<FleetNode>> _later = [];

    private Fleet(DynamoDbLocal dynamo, DynamoDbStore store, DynamoDbProxy way, SiloProcesses silos, Ec2Process ec2) =>
        (_dynamo, Store, Way, Silos, _ec2, _http, Books) = (dynamo, store, way, silos, ec2, dynamo.Http(), new Books(store, ec2));

    public DynamoDbStore Store { get; }

    /// <summary>The silos' way to the store. What a test reads there goes another one.</summary>
    public DynamoDbProxy Way { get; }

    public SiloProcesses Silos { get; }

    public IReadOnlyList<FleetNode> Nodes { get; private set; } = [];

    public Register Register { get; } = new(Cooldown);

    /// <summary>What store, EC2 and executors say.</summary>
    public Books Books { get; }

    public Calls Calls { get; private set; } = null!;

    /// <summary>Answers when each node can give a pod an address.</summary>
    /// <param name="settings">Over those of all silos.</param>
    /// <param name="own">Over those, of one silo.</param>
    /// <param name="hasEdge">The next number is an edge, and the nodes know no other door.</param>
    /// <param name="later">So many instances more, whose executors start when <see cref="JoinAsync(int, Func{FleetNode, Task}, CancellationToken)"/> says so.</param>
    public static async Task<Fleet> StartAsync(
        DynamoDbLocal dynamo, int nodes, CancellationToken cancellation, int silosCount = SiloCount, IReadOnlyDictionary<string, string>? settings = null,
        Action<SiloProcesses>? own = null, bool hasEdge = false, int later = 0)
    {
        var store = new DynamoDbStore(dynamo);
        var way = store.OpenWay();
        var silos = new SiloProcesses(dynamo, store, new Dictionary<string, string>
        {
            ["Ec2__Endpoint"] = Ec2Process.Endpoint,
            ["Pool__Cooldown"] = Cooldown.ToString("c", CultureInfo.InvariantCulture),
            // Enough for most of the time, so that EC2's budget is not what these nodes wait for; and now and then one more is drawn, and returned.
            ["Pool__MinimumIps"] = "8",
            ["Pool__WarmIps"] = "1",
            ["Storage__ServiceUrl"] = way.Url,
        }.Concat(settings ?? new Dictionary<string, string>()));
        own?.Invoke(silos);
        if (hasEdge)
        {
            silos.Own[silosCount + 1] = new() { ["Storage__ServiceUrl"] = store.EdgeWay.Url };
        }

        string[] ids = [.. Enumerable.Range(1, nodes + later).Select(number => $"i-{number:x17}")];
        Ec2Process ec2;
        try
        {
            ec2 = await Ec2Process.StartAsync(dynamo, silos.Folder, Vpc(ids), cancellation);
        }
        catch
        {
            await silos.DisposeAsync();
            await store.DisposeAsync();
            throw;
        }

        var fleet = new Fleet(dynamo, store, way, silos, ec2);
        try
        {
            if (hasEdge)
            {
                silos.StartEdge(silosCount + 1); // It waits for them.
            }

            await silos.StartAllAsync(silosCount, cancellation);
            if (hasEdge)
            {
                await silos.ReadyAsync(silosCount + 1, cancellation);
            }

            await fleet.JoinAsync(ids, nodes, hasEdge ? [silosCount + 1] : [.. Enumerable.Range(1, silosCount)], cancellation);
            return fleet;
        }
        catch
        {
            await fleet.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        using var stop = _stop;
        await using var store = Store;
        await using var ec2 = _ec2;
        await using var silos = Silos;
        using var http = _http;
        await _stop.CancelAsync();
        await _watching;
        await Task.WhenAll(Nodes.Select(node => node.DisposeAsync().AsTask())); // Whatever one of them throws, the rest ends too.
    }

    private async Task JoinAsync(string[] ids, int first, int[] doors, CancellationToken cancellation)
    {
        var tokens = ids.ToDictionary(id => id, Silos.TokenOf);
        Calls = new Calls(_http, id => tokens[id]);
        _later = new Queue<Func<FleetNode>>(ids.Select((id, index) => new Func<FleetNode>(() => new FleetNode(
            id, _dynamo, Silos, [.. doors.Select((_, n) => SiloProcesses.DoorOf(doors[(index + n) % doors.Length]))], IsAttachedAsync(id), Register))));
        await JoinAsync(first, node => node.ServableAsync(cancellation), cancellation);
        _watching = Task.Run(WatchAsync, CancellationToken.None);
    }

    /// <summary>Starts the executors of the next instances, all at once, and awaits this of each.</summary>
    public async Task<IReadOnlyList<FleetNode>> JoinAsync(int count, Func<FleetNode, Task> joined, CancellationToken cancellation)
    {
        FleetNode[] nodes = [.. Enumerable.Range(0, count).Select(_ => _later.Dequeue()())];
        Nodes = [.. Nodes, .. nodes];
        await Task.WhenAll(nodes.Select(joined)).WaitAsync(SiloProcesses.Patience, cancellation);
        return nodes;
    }

    /// <summary>By the policy API of this silo or edge each node gets two addresses more than any of them has.</summary>
    public async Task RaiseAsync(int silo, CancellationToken cancellation)
    {
        var policy = new Uri($"http://127.0.0.1:{20000 + silo}/v1/policy");
        var said = "";
        await Silos.UntilAsync(() => $"silo {silo} to take a policy: {said}", async () =>
        {
            using var read = await _http.GetAsync(policy, cancellation);
            using var change = new HttpRequestMessage(HttpMethod.Put, policy)
            {
                Content = JsonContent.Create(new { policy = new { minimumIps = Nodes.Max(node => node.Lease.Slots.Count) + 2, warmIps = 1, cooldown = Cooldown }, who = "ada", why = "a test" }),
            };
            if (read.Headers.ETag is not { } version)
            {
                said = $"{read.StatusCode} {await read.Content.ReadAsStringAsync(cancellation)}";
                return false;
            }

            change.Headers.IfMatch.Add(version);
            using var changed = await _http.SendAsync(change, cancellation);
            said = $"{changed.StatusCode} {await changed.Content.ReadAsStringAsync(cancellation)}";
            return changed.IsSuccessStatusCode;
        }, cancellation);
    }

    /// <summary>What EC2 has been asked for.</summary>
    public Task<CallEntry[]> CallsAsync(CancellationToken cancellation) => _ec2.CallsAsync(cancellation);

    /// <summary>By interface, the node that has it now.</summary>
    public async Task<Dictionary<string, string>> NodesOfInterfacesAsync(CancellationToken cancellation) =>
        (await _ec2.StateAsync(cancellation)).Interfaces.Where(eni => eni.Instance is not null).ToDictionary(eni => eni.Id, eni => eni.Instance!);

    private Func<Core.Contracts.InterfaceOrder, Task<bool>> IsAttachedAsync(string id) => async order =>
        (await LookAsync()).Interfaces.Any(eni => eni.Id == order.EniId && eni.Instance == id && eni.Attachment == "attached");

    /// <summary>EC2 as it was at most a second ago.</summary>
    private Task<VpcState> LookAsync()
    {
        lock (_lookLock)
        {
            if (_look is null || TimeProvider.System.GetElapsedTime(_lookedAt) > TimeSpan.FromSeconds(1))
            {
                (_look, _lookedAt) = (_ec2.StateAsync(CancellationToken.None), TimeProvider.System.GetTimestamp());
            }

            return _look;
        }
    }

    /// <summary>Each second: what is on a pod is, in EC2, on an interface of that pod's node.</summary>
    private async Task WatchAsync()
    {
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                await WatchOnceAsync();
                await Task.Delay(TimeSpan.FromSeconds(1), _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
        catch (Exception e)
        {
            Register.Refute($"EC2 is not watched any more: {e}"); // Whatever it is, the test must not go on as if it were.
        }
    }

    private async Task WatchOnceAsync()
    {
        var before = Register.Now();
        var state = await _ec2.StateAsync(CancellationToken.None);
        var after = Register.Now();
        var nodeOf = state.Interfaces.SelectMany(eni => eni.Addresses, (eni, address) => (eni.Instance, address)).ToDictionary(one => one.address, one => one.Instance);
        foreach (var (address, held) in before.Where(one => after.GetValueOrDefault(one.Key) == one.Value))
        {
            if (nodeOf.GetValueOrDefault(address.ToString()) is var node && node != held.Node)
            {
                Register.Refute($"{address} is on {held}, and EC2 has it on {node ?? "no node"}");
            }
        }
    }

    /// <summary>One subnet, and these instances in it.</summary>
    public static VpcDescription Vpc(IEnumerable<string> ids, string type = "m5.xlarge") => new()
    {
        VpcId = SiloProcesses.VpcId,
        Region = SiloProcesses.Region,
        Cidrs = ["10.30.0.0/16"],
        Subnets = [new() { Id = SubnetId, Cidr = "10.30.0.0/20", Zone = "us-east-1a", ZoneId = "use1-az1" }],
        SecurityGroups = [new() { Id = "sg-0123456789abcdef0", Name = "default" }],
        Instances = [.. ids.Select(id => new InstanceDescription { Id = id, Type = type, Subnet = SubnetId, Tags = new Dictionary<string, string> { ["kubernetes.io/cluster/test"] = "owned" } })],
    };
}
