using System.Net;
using AwsVpcCni.VpcEmulator.Model;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.VpcEmulator;

/// <summary>What holds after any calls in any order, right or wrong.</summary>
public sealed class VpcLawsTests
{
    internal static readonly Gen<(int Call, int Which, int Number, int Seconds)[]> Calls =
        Gen.Select(Gen.Int[0, 14], Gen.Int[0, 20], Gen.Int[0, 255], Gen.Int[0, 1]).Array[0, 80];

    [Fact]
    public void Every_address_has_one_holder_and_every_subnet_counts_right() => Calls.Sample(calls =>
    {
        var test = new TestVpc();
        foreach (var call in calls)
        {
            Try(test, call);
            var held = test.Vpc.Enis.SelectMany(eni => eni.Delivered.Select(address => (eni, address))).ToList();
            Assert.Equal(held.Count, held.Select(entry => entry.address).Distinct().Count());
            Assert.All(held, entry => Assert.Equal(entry.eni.Id, entry.eni.Subnet.HolderOf(entry.address)));
            foreach (var subnet in test.Vpc.Subnets)
            {
                var size = 1 << (32 - subnet.Cidr.PrefixLength);
                Assert.Equal(size - 5 - held.Count(entry => subnet.Cidr.Contains(entry.address)), subnet.FreeCount);
                Assert.Equal(subnet.FreeCount - Reserved(subnet, [.. held.Select(entry => entry.address)]), subnet.AvailableIpAddressCount);
                Assert.DoesNotContain(held, entry => subnet.Cidr.Contains(entry.address) && entry.address.GetAddressBytes()[3] is < 4 or 255);
            }
        }
    });

    [Fact]
    public void No_instance_passes_the_limits_of_its_type() => Calls.Sample(calls =>
    {
        var test = new TestVpc();
        foreach (var call in calls)
        {
            Try(test, call);
            foreach (var instance in test.Vpc.Instances)
            {
                var enis = test.Vpc.EnisOf(instance).ToList();
                Assert.InRange(enis.Count, 0, 3);
                Assert.Equal(enis.Count, enis.Select(eni => eni.Attachment!.DeviceIndex).Distinct().Count());
                Assert.All(enis, eni => Assert.InRange(eni.Slots, 1, 10));
                Assert.All(enis, eni => Assert.Equal(EniStatus.InUse, eni.Status));
            }
        }
    });

    [Fact]
    public void A_refusal_changes_nothing() => Calls.Sample(calls =>
    {
        var test = new TestVpc();
        foreach (var call in calls)
        {
            test.Time.Advance(TimeSpan.FromSeconds(call.Seconds));
            test.Vpc.Advance(); // What time has done is not the call's doing.
            var before = test.Snapshot();
            if (!Try(test, call with { Seconds = 0 }))
            {
                Assert.Equal(before, test.Snapshot());
            }
        }
    });

    [Fact]
    public void Events_alone_tell_what_every_instance_sees() => Calls.Sample(calls =>
    {
        var test = new TestVpc();
        foreach (var call in calls)
        {
            Try(test, call);
        }

        var seen = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var happened in test.Events)
        {
            switch (happened)
            {
                case VpcEvent.InterfaceAttached(var eni, var attachment, var addresses):
                    seen.Add(eni.Id, $"{attachment.Instance.Id} {string.Join(' ', addresses)}");
                    break;
                case VpcEvent.AddressesChanged(var eni, var addresses):
                    seen[eni.Id] = $"{seen[eni.Id].Split(' ')[0]} {string.Join(' ', addresses)}";
                    break;
                case VpcEvent.InterfaceDetached(var eni, _):
                    Assert.True(seen.Remove(eni.Id));
                    break;
            }
        }

        var held = test.Vpc.Enis.Where(eni => eni.Attachment is { Status: not AttachmentStatus.Attaching })
            .ToDictionary(eni => eni.Id, eni => $"{eni.Attachment!.Instance.Id} {string.Join(' ', eni.Delivered)}");
        Assert.Equal(new SortedDictionary<string, string>(held, StringComparer.Ordinal), seen);
    });

    [Fact]
    public void What_is_chosen_stays_out_of_explicit_reservations() => Calls.Sample(calls =>
    {
        var test = new TestVpc();
        foreach (var call in calls)
        {
            var before = test.Vpc.Enis.SelectMany(eni => eni.Delivered).ToHashSet();
            if (Try(test, call) && call.Call is 0 or 6 or 10)
            {
                var chosen = test.Vpc.Enis.SelectMany(eni => eni.Delivered).Where(address => !before.Contains(address));
                var kept = test.Vpc.Subnets.SelectMany(subnet => subnet.Reservations).Where(one => one.Type == ReservationType.Explicit).ToList();
                Assert.DoesNotContain(chosen, address => kept.Exists(one => one.Cidr.Contains(address)));
            }
        }
    });

    /// <summary>What is free and usable in reservations for prefixes.</summary>
    private static int Reserved(Subnet subnet, HashSet<IPAddress> held) => subnet.Reservations.Count == 0 ? 0 : Enumerable.Range(4, (1 << (32 - subnet.Cidr.PrefixLength)) - 5)
        .Select(last => new IPAddress([.. subnet.Cidr.BaseAddress.GetAddressBytes()[..3], (byte)last]))
        .Count(address => !held.Contains(address) && subnet.Reservations.Any(one => one.Type == ReservationType.Prefix && one.Cidr.Contains(address)));

    /// <summary>One call, on an interface that may be there, with an address that may be right.</summary>
    /// <returns>False: refused.</returns>
    internal static bool Try(TestVpc test, (int Call, int Which, int Number, int Seconds) call)
    {
        test.Time.Advance(TimeSpan.FromSeconds(call.Seconds));
        var vpc = test.Vpc;
        var enis = vpc.Enis.ToList();
        var found = call.Which < 20 && enis.Count > 0 ? enis[call.Which % enis.Count] : null;
        var eni = found?.Id ?? "eni-00000000";
        var instance = call.Number % 2 == 0 ? TestVpc.Node : TestVpc.OtherNode;
        var subnet = found?.Subnet.Id ?? TestVpc.Small;

        // So few addresses that calls often meet on one.
        var address = TestVpc.Ips($"10.0.{(subnet == TestVpc.Subnet ? 1 : 2)}.{call.Number % 24}");
        try
        {
            switch (call.Call)
            {
                case 0: vpc.CreateNetworkInterface(new() { SubnetId = subnet, SecondaryCount = call.Number % 4 }); break;
                case 1: vpc.CreateNetworkInterface(new() { SubnetId = subnet, Primary = address[0], ClientToken = $"{call.Which}" }); break;
                case 2: vpc.AttachNetworkInterface(eni, instance, call.Number % 4); break;
                case 3: vpc.DetachNetworkInterface(found?.Attachment?.Id ?? "eni-attach-0"); break;
                case 4: vpc.DeleteNetworkInterface(eni); break;
                case 5: vpc.AssignPrivateIpAddresses(eni, address, allowReassignment: call.Number % 3 == 0); break;
                case 6: vpc.AssignPrivateIpAddresses(eni, (call.Number % 4) + 1); break;
                case 7: vpc.UnassignPrivateIpAddresses(eni, found is { Addresses.Count: > 1 } ? [found.Addresses[^1]] : address); break;
                case 8: vpc.ModifyDeleteOnTermination(eni, found?.Attachment?.Id ?? "eni-attach-0", call.Number % 2 == 0); break;
                case 9: vpc.AssignIpv4Prefixes(eni, [new IPNetwork(TestVpc.Ip($"10.0.{(subnet == TestVpc.Subnet ? 1 : 2)}.{call.Number / 16 * 16}"), 28)]); break;
                case 10: vpc.AssignIpv4Prefixes(eni, (call.Number % 3) + 1); break;
                case 11: vpc.UnassignPrivateIpAddresses(eni, [], found is { Prefixes.Count: > 0 } ? [found.Prefixes[^1]] : TestVpc.Blocks("10.0.1.32/28")); break;
                case 12: vpc.CreateNetworkInterface(new() { SubnetId = subnet, PrefixCount = call.Number % 3, Primary = call.Number % 2 == 0 ? address[0] : null }); break;
                case 13:
                    vpc.CreateSubnetCidrReservation(
                        TestVpc.Subnet, new(TestVpc.Ip($"10.0.1.{call.Number / 32 * 32}"), 27), call.Which % 2 == 0 ? ReservationType.Prefix : ReservationType.Explicit);
                    break;
                default:
                    if (call.Number < 10) // Seldom: it ends most of what follows.
                    {
                        vpc.Terminate(instance);
                    }

                    break;
            }

            return true;
        }
        catch (Ec2Exception)
        {
            return false;
        }
    }
}
