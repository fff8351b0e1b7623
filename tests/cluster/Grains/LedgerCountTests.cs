using System.Collections.Immutable;
using System.Net;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;
using Refusal = AwsVpcCni.VpcEmulator.Model.Ec2Exception;
using ReservationType = AwsVpcCni.VpcEmulator.Model.ReservationType;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>A thousand subnets of any kind, reservations, others' addresses and prefixes and our own in them: what the ledger calls free, addresses and whole /28s, is
/// what EC2 itself could choose, as the emulator's model counts it from its own lists; after a read, and after draws and returns of ours that no read has shown yet.</summary>
public sealed class LedgerCountTests(ITestOutputHelper output)
{
    private const int States = 1000;
    private const string Node = "i-0";

    [Fact]
    public async Task Free_addresses_and_free_blocks_are_the_emulators_own()
    {
        var first = Seed.Take() % 1_000_000;
        output.WriteLine($"seeds {first} to {first + States - 1} ({Seed.Variable}={first} replays them)");
        await using var world = await GrainWorld.StartAsync(new PoolPolicy());
        var kinds = (Kept: 0, Closed: 0, Drawn: 0, Returned: 0, Full: 0);
        for (var seed = first; seed < first + States; seed++)
        {
            var one = await LookAsync(world, seed);
            kinds = (kinds.Kept + one.Kept, kinds.Closed + one.Closed, kinds.Drawn + one.Drawn, kinds.Returned + one.Returned, kinds.Full + one.Full);
        }

        output.WriteLine($"with whole blocks in reservations for prefixes: {kinds.Kept}; with others: {kinds.Closed}; with draws of ours: {kinds.Drawn}; with returns: {kinds.Returned}; without a free address: {kinds.Full}");
        Assert.True(kinds is { Kept: > 40, Closed: > 100, Drawn: > 300, Returned: > 100, Full: > 5 }, $"the states are too much alike: {kinds}");
    }

    private static async Task<(int Kept, int Closed, int Drawn, int Returned, int Full)> LookAsync(GrainWorld world, int seed)
    {
        var random = new Random(seed);
        var subnetId = $"subnet-{seed}";
        var vpc = new Vpc(new VpcDescription
        {
            VpcId = GrainWorld.VpcId, Cidrs = ["10.0.0.0/16"],
            Subnets = [new SubnetDescription { Id = subnetId, Cidr = $"10.0.{random.Next(16) * 4}.0/{random.Next(22, 29)}", Zone = "eu-west-1a", ZoneId = "euw1-az1" }],
            SecurityGroups = [new SecurityGroupDescription { Id = "sg-1", Name = "default" }],
        }, TimeProvider.System, random);
        var (subnet, ec2, ledger) = (vpc.Subnets.Single(), new ModelEc2(vpc), world.Grains.GetGrain<ISubnetGrain>(subnetId));
        string? ours = null;
        Try(() => ours = vpc.CreateNetworkInterface(new CreateEni { SubnetId = subnetId }).Id);
        Others(vpc, subnet, random);
        Reserve(vpc, subnet, random);
        Others(vpc, subnet, random); // What is in a reservation, its owner has named.

        await ReadAsync();
        await AssertSameAsync("after a read");
        var (drawn, returned) = (false, false);
        for (var (step, change) = (0, 1); step < 4 && ours is not null; step++, change++)
        {
            var prefixes = random.Next(2) == 0;
            var names = (await ledger.ReserveAsync(new ReserveRequest($"{seed}/{step}", Node, ours, random.Next(1, 9), [], prefixes, false, change))).Names;
            if (names.IsEmpty)
            {
                continue;
            }

            await ec2.AssignAsync(ours, names, CancellationToken.None); // EC2 takes every name.
            await ledger.SettleAsync($"{seed}/{step}", Node, change, names, []);
            drawn = true;
            await AssertSameAsync($"after a draw of {string.Join(' ', names)}");
            if (random.Next(2) == 0)
            {
                ImmutableArray<Block> back = [.. names.Where(_ => random.Next(2) == 0)];
                if (!back.IsEmpty)
                {
                    await ec2.UnassignAsync(ours, back, CancellationToken.None);
                    await ledger.ReturnedAsync(Node, ++change, back, isFree: true);
                    returned = true;
                    await AssertSameAsync($"after the return of {string.Join(' ', back)}");
                }
            }
        }

        await ReadAsync();
        await AssertSameAsync("after another read");
        return (subnet.Reservations.Any(one => one.Type == ReservationType.Prefix) && subnet.ChoosablePrefixes > 0 ? 1 : 0, subnet.Reservations.Any(one => one.Type == ReservationType.Explicit) ? 1 : 0,
            drawn ? 1 : 0, returned ? 1 : 0, subnet.Choosable == 0 ? 1 : 0);

        async Task ReadAsync()
        {
            var change = await ledger.ChangeNumberAsync();
            var page = await ec2.DescribeInterfacesAsync(new Ec2InterfaceQuery(), null, CancellationToken.None);
            var used = from eni in page.Interfaces from address in eni.Addresses.Concat(eni.Prefixes.SelectMany(prefix => prefix.Addresses)) select new UsedAddress(address, eni.EniId, null);
            await ledger.SweptAsync(new SubnetSweep((await ec2.DescribeSubnetsAsync(GrainWorld.VpcId, CancellationToken.None))[0], [.. used], change, await ec2.GetReservationsAsync(subnetId, CancellationToken.None)));
        }

        async Task AssertSameAsync(string when)
        {
            var (free, shown) = (await ledger.FreeAsync(), await ledger.SummarizeAsync());
            var expected = (subnet.Choosable, subnet.ChoosablePrefixes);
            Assert.True(expected == (free.Addresses, free.Prefixes) && expected == ((int)shown.Free, shown.FreePrefixes) && shown.Free + shown.KeptForPrefixes + shown.KeptByName == subnet.FreeCount,
                $"seed {seed}, {subnet.Cidr} {when}: EC2 could choose {expected}, the ledger would name {free} and shows {shown.Free} and {shown.FreePrefixes}; {shown.KeptForPrefixes} and {shown.KeptByName} are kept, of {subnet.FreeCount} that nobody has. "
                + $"Reservations: {string.Join(", ", subnet.Reservations.Select(one => $"{one.Cidr} {one.Type}"))}");
        }
    }

    /// <summary>Some choose, some name: at times until nothing is left.</summary>
    private static void Others(Vpc vpc, Subnet subnet, Random random)
    {
        var size = 1 << (32 - subnet.Cidr.PrefixLength);
        var tries = random.Next(random.Next(4) == 0 ? size / 3 : 6);
        for (var n = 0; n < tries; n++)
        {
            var address = (Ip.From(subnet.Cidr.BaseAddress) + random.Next(size)).ToIPAddress();
            Try(() => vpc.CreateNetworkInterface(random.Next(4) switch
            {
                0 => new CreateEni { SubnetId = subnet.Id, SecondaryCount = random.Next(8) },
                1 => new CreateEni { SubnetId = subnet.Id, PrefixCount = random.Next(1, 3) },
                2 => new CreateEni { SubnetId = subnet.Id, Primary = address },
                _ => new CreateEni { SubnetId = subnet.Id, Prefixes = [new IPNetwork(Block.PrefixOf(Ip.From(address)).First.ToIPAddress(), 28)] },
            }));
        }
    }

    private static void Reserve(Vpc vpc, Subnet subnet, Random random)
    {
        for (var n = random.Next(4); n > 0; n--)
        {
            var length = random.Next(Math.Max(23, subnet.Cidr.PrefixLength), 31);
            var block = 1 << (32 - length);
            var cidr = new IPNetwork((Ip.From(subnet.Cidr.BaseAddress) + (random.Next((1 << (32 - subnet.Cidr.PrefixLength)) / block) * block)).ToIPAddress(), length);
            Try(() => vpc.CreateSubnetCidrReservation(subnet.Id, cidr, random.Next(2) == 0 ? ReservationType.Prefix : ReservationType.Explicit));
        }
    }

    private static void Try(Action change)
    {
        try
        {
            change();
        }
        catch (Refusal)
        {
            // It is taken, kept or too small: another state.
        }
    }
}
