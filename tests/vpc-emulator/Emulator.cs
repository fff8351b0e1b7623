using System.Net;
using System.Net.Sockets;
using AwsVpcCni.VpcEmulator.Control;
using AwsVpcCni.VpcEmulator.Ec2Api;
using AwsVpcCni.VpcEmulator.Fabric;
using AwsVpcCni.VpcEmulator.Iam;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator;

/// <summary>How an emulator runs.</summary>
public sealed record EmulatorOptions
{
    /// <summary>Port 0: any free one.</summary>
    public IPEndPoint Listen { get; init; } = new(IPAddress.Loopback, 0);

    /// <summary>Null: no namespaces, no metadata service.</summary>
    public string? FabricPrefix { get; init; }

    /// <summary>Null: the call log is in memory only.</summary>
    public string? CallLogPath { get; init; }

    /// <summary>Files of IAM policies by cluster: whoever signs with the cluster's name for an access key id may do what its policy grants, and
    /// nobody else anything. REGION, ACCOUNT, VPC and CLUSTER in a file stand for what they are here. Empty: everybody may do everything.</summary>
    public IReadOnlyDictionary<string, string> Policies { get; init; } = new Dictionary<string, string>();

    public TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <summary>A VPC that answers on a socket, and, with a fabric, carries traffic. What `vpc-emulator run` runs; tests run it in process.</summary>
public sealed class Emulator : IAsyncDisposable
{
    private readonly LiveVpc _live;
    private readonly FaultPlan _faults;
    private readonly VpcFabric? _fabric;
    private readonly Wires? _wires;
    private readonly Door _door;

    private Emulator(LiveVpc live, FaultPlan faults, CallLog calls, IReadOnlyDictionary<string, IamPolicy> policies, VpcFabric? fabric, Wires? wires, Door door)
    {
        (_live, _faults, Calls, Policies, _fabric, _wires, _door) = (live, faults, calls, policies, fabric, wires, door);
        Endpoint = new Uri($"http://{door.Endpoint}");
    }

    /// <summary>For the SDK's ServiceURL.</summary>
    public Uri Endpoint { get; }

    public CallLog Calls { get; }

    /// <summary>What is enforced, by cluster.</summary>
    public IReadOnlyDictionary<string, IamPolicy> Policies { get; }

    /// <summary>Faults when the fabric could not follow the model; until then it does not end.</summary>
    public Task Broken => _live.Broken.Task;

    /// <summary>Ends when the fabric has what the model has had when this was read.</summary>
    public Task CarriedOut => _live.CarriedOut;

    /// <summary>Launches the description's instances, and answers once all of them are in place.</summary>
    public static async Task<Emulator> StartAsync(VpcDescription description, EmulatorOptions? options = null, CancellationToken cancellation = default)
    {
        options ??= new EmulatorOptions();
        var time = options.Time;
        var live = new LiveVpc(new Vpc(description, time, new Random(description.Seed)), time);
        var faults = new FaultPlan(new Random(description.Seed));
        var policies = options.Policies.ToDictionary(policy => policy.Key, policy => IamPolicy.Read(policy.Value, new Dictionary<string, string>
        {
            ["REGION"] = description.Region, ["ACCOUNT"] = description.AccountId, ["VPC"] = description.VpcId, ["CLUSTER"] = policy.Key,
        }));
        var calls = new CallLog(options.CallLogPath);
        VpcFabric? fabric = null;
        Wires? wires = null;
        try
        {
            fabric = options.FabricPrefix is { } prefix ? await VpcFabric.StartAsync(prefix, cancellation) : null;
            var ec2 = new Ec2Endpoint(live, new Ec2Calls(new Throttle(time, description.Buckets), faults, description.LatencyMs), policies, calls, new Random(description.Seed), time);
            var control = new ControlApi(live, faults, calls, fabric);
            if (fabric is not null)
            {
                wires = new Wires(fabric, live, socket => Door.OpenAsync(socket, ec2, control), time);
                live.CarryOutBy(wires.CarryOutAsync);
            }

            foreach (var instance in description.Instances)
            {
                live.Do(vpc => vpc.Launch(instance));
            }

            await live.CarriedOut.WaitAsync(cancellation);
            return new Emulator(live, faults, calls, policies, fabric, wires, await Door.OpenAsync(Listen(options.Listen), ec2, control));
        }
        catch
        {
            await CloseAsync(live, calls, fabric, wires);
            throw;
        }
    }

    /// <summary>Runs <paramref name="work"/> on the model, alone. Its result must not be a part of the model.</summary>
    public T Do<T>(Func<Vpc, T> work) => _live.Do(work);

    /// <summary>Switches a fault on.</summary>
    public void Add(Fault fault) => _live.Do(_ =>
    {
        _faults.Add(fault);
        return true;
    });

    public async ValueTask DisposeAsync()
    {
        await _door.DisposeAsync();
        await CloseAsync(_live, Calls, _fabric, _wires);
    }

    private static Socket Listen(IPEndPoint endpoint)
    {
        var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(endpoint);
            socket.Listen();
            return socket;
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new IOException($"cannot listen on {endpoint}: {e.Message}. Name another address, or end the program that has this one.", e);
        }
    }

    private static async Task CloseAsync(LiveVpc live, CallLog calls, VpcFabric? fabric, Wires? wires)
    {
        await live.DisposeAsync();
        if (wires is not null)
        {
            await wires.DisposeAsync();
        }

        if (fabric is not null)
        {
            await fabric.DisposeAsync();
        }

        calls.Dispose();
    }
}
