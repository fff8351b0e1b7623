using System.Diagnostics.Metrics;
using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Cli.Doctor;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Storage.DynamoDb;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using Orleans.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Storage;

[Collection(nameof(DynamoDbLocal))]
public sealed class DynamoDbAddressBookTests(DynamoDbLocal dynamo) : AddressBookContract, IAsyncLifetime
{
    private readonly DynamoDbStore _store = new(dynamo);

    private protected override IAddressBook Book => _store.Book();

    public ValueTask InitializeAsync() => _store.OpenAsync();

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    private protected override IAddressBook Reopen() => Book; // Made anew at each use, with nothing but the table.
}

[Collection(nameof(DynamoDbLocal))]
public sealed class DynamoDbGrainStorageTests(DynamoDbLocal dynamo) : GrainStorageContract, IAsyncLifetime
{
    private readonly DynamoDbStore _store = new(dynamo);

    private protected override IGrainStorage Storage => _store.Documents();

    public ValueTask InitializeAsync() => _store.OpenAsync();

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    private protected override IGrainStorage Reopen() => Storage;

    [Fact]
    public Task A_state_of_before_the_table_was_lost_does_not_fit_a_document_of_afterwards() => A_state_of_before_the_loss_does_not_fit_a_document_of_afterwards(async () =>
    {
        await _store.Sdk.DeleteTableAsync(_store.Settings.GrainTable, TestContext.Current.CancellationToken);
        await _store.OpenAsync();
    });

    [Fact]
    public async Task A_document_of_Orleans_own_provider_is_written_over_once_and_not_after_a_write_of_ours()
    {
        var grain = GrainId.Create("node", "i-1");
        await _store.Sdk.PutItemAsync(
            _store.Settings.GrainTable, new()
            {
                ["GrainReference"] = new($"aws-vpc-cni_{grain}"), ["GrainType"] = new("document"), ["ETag"] = new() { N = "3" }, ["GrainState"] = new() { B = new MemoryStream("[7]"u8.ToArray()) },
            }, TestContext.Current.CancellationToken);
        var (first, second) = (new GrainState<List<int>>(), new GrainState<List<int>>());
        await Storage.ReadStateAsync("document", grain, first);
        await Storage.ReadStateAsync("document", grain, second);
        Assert.Equal(("3", 7), (second.ETag, Assert.Single(second.State!)));

        await Storage.WriteStateAsync("document", grain, first);
        Assert.StartsWith("4 ", first.ETag, StringComparison.Ordinal);
        await Assert.ThrowsAsync<InconsistentStateException>(() => Storage.WriteStateAsync("document", grain, second));

        // The number of then has come again, with a write of ours.
        await _store.Sdk.DeleteItemAsync(_store.Settings.GrainTable, new() { ["GrainReference"] = new($"aws-vpc-cni_{grain}"), ["GrainType"] = new("document") }, TestContext.Current.CancellationToken);
        var anew = new GrainState<List<int>>([8]);
        while (anew.ETag?.StartsWith("3 ", StringComparison.Ordinal) is not true)
        {
            await Storage.WriteStateAsync("document", grain, anew);
        }

        await Assert.ThrowsAsync<InconsistentStateException>(() => Storage.WriteStateAsync("document", grain, second));
        await Assert.ThrowsAsync<InconsistentStateException>(() => Storage.ClearStateAsync("document", grain, second));
        await Storage.WriteStateAsync("document", grain, anew);
    }
}

/// <summary>Tables of a test's own.</summary>
internal sealed class DynamoDbStore : IAsyncDisposable
{
    private static int s_stores;

    private readonly DynamoDbLocal _dynamo;
    private readonly AmazonDynamoDBClient _sdk;
    private readonly AmazonDynamoDBClient _silos;
    private readonly List<DynamoDbProxy> _ways = [];

    public DynamoDbStore(DynamoDbLocal dynamo)
    {
        dynamo.NeedIt();
        _dynamo = dynamo;
        var name = $"test-{Environment.ProcessId}-{Interlocked.Increment(ref s_stores)}";
        Settings = new StorageOptions
        {
            Provider = StorageOptions.DynamoDb, Region = DynamoDbProxy.Region, AddressTable = $"{name}-addresses", HistoryTable = $"{name}-history", GrainTable = $"{name}-grains",
            MembershipTable = $"{name}-silos",
            // Far above what a busy test machine needs: these tests are not about time.
            AttemptDeadline = TimeSpan.FromSeconds(30), DocumentDeadline = TimeSpan.FromSeconds(30),
        };
        _sdk = dynamo.Connect(Settings);
        Settings.ServiceUrl = OpenWay().Url;
        _silos = dynamo.Connect(Settings, Settings.ServiceUrl);
    }

    /// <summary>With the way that silos take to DynamoDB, in its network namespace.</summary>
    public StorageOptions Settings { get; }

    /// <summary>That one.</summary>
    public DynamoDbProxy Way => _ways[0];

    /// <summary>For `ipam export` and `import`.</summary>
    public DynamoDbProxy MovingWay => field ??= OpenWay(Repository.DynamoDbMovePolicy);

    /// <summary>For edges.</summary>
    public DynamoDbProxy EdgeWay => field ??= OpenWay(Repository.DynamoDbEdgePolicy);

    /// <summary>Another one, so that one client meets faults and others do not.</summary>
    public DynamoDbProxy OpenWay(string? policy = null)
    {
        _ways.Add(_dynamo.OpenWay(Settings, policy));
        return _ways[^1];
    }

    public StoreMetrics Metrics { get; } = new();

    private IOptions<ClusterOptions> Cluster { get; } = Microsoft.Extensions.Options.Options.Create(new ClusterOptions { ServiceId = "aws-vpc-cni", ClusterId = "test" });

    /// <summary>Of what is made from now on: in place of the default.</summary>
    public string ServiceId
    {
        set => Cluster.Value.ServiceId = value;
    }

    private IOptions<StorageOptions> Options => Microsoft.Extensions.Options.Options.Create(Settings);

    public async ValueTask OpenAsync() => await Tables().OpenAsync(TestContext.Current.CancellationToken);

    public Tables Tables(DynamoDbProxy? way = null) =>
        new(Sender(way), new ImportMark(Sender(way), Options, Cluster), Options, TimeProvider.System, NullLogger<Tables>.Instance);

    public AddressBook Book(DynamoDbProxy? way = null) => Book(Sender(way));

    public AddressBook BookWithSmallPages(DynamoDbProxy? way = null) => Book(Sender(_dynamo.ConnectWithSmallPages(Settings, (way ?? Way).Url)));

    public MembershipTable Membership(DynamoDbProxy? way = null) => new(Sender(way), Silos(way), Tables(way), Options, Cluster);

    public MembershipRows Silos(DynamoDbProxy? way = null) => new(Sender(way), Options, Cluster);

    public GrainStorage Documents(DynamoDbProxy? way = null) => new(Sender(way), Options, Cluster);

    /// <summary>All of it, read in small pages, with the rights of who moves it.</summary>
    public Contents Contents()
    {
        var sender = Sender(_dynamo.ConnectWithSmallPages(Settings, MovingWay.Url));
        return new Contents(
            sender, Tables(MovingWay), Silos(MovingWay), new ImportMark(sender, Options, Cluster), new GrainStorage(sender, Options, Cluster), History(sender), Options,
            Microsoft.Extensions.Options.Options.Create(new SiloNetworkOptions()), TimeProvider.System);
    }

    /// <summary>What `ipam doctor` looks at, for one of several silos.</summary>
    public DynamoDbChecks Checks(IAmazonDynamoDB? sdk = null) =>
        new(Sender(sdk ?? _silos), Tables(), Options, Microsoft.Extensions.Options.Options.Create(new SiloNetworkOptions { Clustering = SiloNetworkOptions.DynamoDb }));

    /// <summary>DynamoDB itself, without a policy before it.</summary>
    public AmazonDynamoDBClient Sdk => _sdk;

    /// <summary>Capacity units that the store's parts have been charged from now on, by operation.</summary>
    public Dictionary<string, double> CountCapacity(out MeterListener listener) => Count(StoreMetrics.Capacity, out listener);

    /// <summary>Writes whose condition did not hold, from now on, by operation.</summary>
    public Dictionary<string, double> CountLostConditions(out MeterListener listener) => Count(StoreMetrics.LostConditions, out listener);

    private Dictionary<string, double> Count(string counter, out MeterListener listener)
    {
        var units = new Dictionary<string, double>();
        listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Meter.Scope == Metrics && instrument.Name == counter)
                {
                    self.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<double>((_, value, tags, _) => Add(value, tags));
        listener.SetMeasurementEventCallback<long>((_, value, tags, _) => Add(value, tags));
        listener.Start();
        return units;

        void Add(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            var operation = (string)tags.ToArray().Single(tag => tag.Key == "operation").Value!;
            units[operation] = units.GetValueOrDefault(operation) + value;
        }
    }

    /// <summary>The history's table anew, as somebody else makes it: nothing in it expires.</summary>
    public async Task MakeHistoryThatGrowsAsync()
    {
        await Sdk.DeleteTableAsync(Settings.HistoryTable, TestContext.Current.CancellationToken);
        await Sdk.CreateTableAsync(
            new CreateTableRequest
            {
                TableName = Settings.HistoryTable, BillingMode = BillingMode.PAY_PER_REQUEST,
                KeySchema = [new("address", KeyType.HASH), new("since", KeyType.RANGE)], AttributeDefinitions = [new("address", ScalarAttributeType.S), new("since", ScalarAttributeType.S)],
            }, TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var table in new[] { Settings.AddressTable, Settings.HistoryTable, Settings.GrainTable, Settings.MembershipTable })
        {
            try
            {
                await _sdk.DeleteTableAsync(table);
            }
            catch (ResourceNotFoundException)
            {
                // The test has not made it.
            }
        }

        _sdk.Dispose();
        _silos.Dispose();
        foreach (var way in _ways)
        {
            await way.DisposeAsync();
        }

        Metrics.Dispose();
    }

    private AddressBook Book(Sender sender) => new(sender, History(sender), Options);

    private AddressHistory History(Sender sender) => new(sender, Options, TimeProvider.System);

    private Sender Sender(DynamoDbProxy? way) => Sender(way is null ? _silos : _dynamo.Connect(Settings, way.Url));

    private Sender Sender(IAmazonDynamoDB sdk) => new(() => sdk, Metrics, TimeProvider.System, new NoWait());

    private sealed class NoWait : Random
    {
        public override double NextDouble() => 0;
    }
}
