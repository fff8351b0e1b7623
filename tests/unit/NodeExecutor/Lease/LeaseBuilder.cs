using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Lease;

/// <summary>A node with one interface and a few addresses; tests say what differs.</summary>
internal static class LeaseBuilder
{
    public const string Eni = "eni-a";
    public static readonly PodName Pod = new("default", "web-0", "uid");
    public static readonly NodePolicy Policy = new(30, 120);

    public static Ip Address(int n) => Ip.Parse("10.0.0.10") + n;

    public static SandboxKey Sandbox(int n) => new($"c{n}", "eth0");

    public static TimeSpan At(double seconds) => TimeSpan.FromSeconds(seconds);

    /// <summary>Addresses 0 to <paramref name="count"/> - 1, at version 1 of incarnation 1.</summary>
    public static NodeLease Node(int count = 3) => new()
    {
        InstanceId = "i-1",
        Incarnation = 1,
        Version = 1,
        Slots = Enumerable.Range(0, count).ToImmutableSortedDictionary(Address, _ => new Slot(Eni, Leased: true, null, null)),
        InterfacesSetUp = [Eni],
    };

    public static NodeOrders Orders(NodeReport report, long version, int[] lease, int[]? giveUp = null) => new()
    {
        Answers = report.Stamp,
        Incarnation = report.Stamp.Incarnation,
        LeaseVersion = version,
        Lease = [.. lease.Select(n => new LeasedAddress(Address(n), Eni))],
        GiveUp = [.. (giveUp ?? []).Select(Address)],
        Interfaces = [Interface(Eni)],
        Policy = Policy,
    };

    public static InterfaceOrder Interface(string eni) =>
        new(eni, "02:00:00:00:00:01", 0, 0, Ip.Parse("10.0.0.5"), Cidr.Parse("10.0.0.0/24"));

    /// <summary>An ADD that is given just this address.</summary>
    public static NodeLease WithClaim(this NodeLease lease, int sandbox, int address, double at = 0, long turn = 0)
    {
        (lease, var number) = lease.Begun(sandbox, at, turn);
        (lease, var result) = lease.TryClaim(Sandbox(sandbox), number, Address(address), At(at));
        return result is ClaimResult.Claimed ? lease : throw new InvalidOperationException($"not claimed: {result}");
    }

    public static (NodeLease Lease, long Number) Begun(this NodeLease lease, int sandbox, double at = 0, long turn = 0)
    {
        (lease, var start) = lease.Begin(Sandbox(sandbox), Pod, turn, At(at), "aws-cni", "02:00:00:00:00:0a");
        return (lease, ((AddStart.Asks)start).Number);
    }

    /// <summary>A DEL whose link is gone at once.</summary>
    public static NodeLease WithDeleted(this NodeLease lease, int sandbox, int address, double at, long turn = 1) =>
        lease.Delete(Sandbox(sandbox), turn, At(at)).Lease.LinkGone(Sandbox(sandbox), Address(address), At(at));
}
