using AwsVpcCni.Tests.Simulation.Scheduling;
using AwsVpcCni.VpcEmulator.Model;
using Block = AwsVpcCni.Core.Addressing.Block;

namespace AwsVpcCni.Tests.Simulation.Faults;

/// <summary>Someone who makes interfaces in our subnets, each with an address that a draw of ours names and just before EC2 hears of it,
/// and deletes them a while later. So long at once that a node goes over to counted draws.</summary>
internal sealed class Rival(Scheduler scheduler, Swarm faults, Vpc vpc)
{
    private static readonly TimeSpan Takes = TimeSpan.FromSeconds(45); // Three refusals in a row, and the waits between them.
    private static readonly TimeSpan Keeps = TimeSpan.FromSeconds(40);

    private TimeSpan _until;

    /// <summary>It takes what others are about to draw: soon there is no room either.</summary>
    public bool IsBusy => faults.IsOn && scheduler.Now < _until;

    /// <summary>EC2 is about to draw these names.</summary>
    public void Before(IEnumerable<Block> names)
    {
        if (faults.Strikes(FaultKind.NamesTaken))
        {
            _until = scheduler.Now + Takes;
        }

        var free = names.SelectMany(name => name.Addresses).Select(address => address.ToIPAddress()).Where(address => SubnetOf(address).HolderOf(address) is null).ToList();
        if (IsBusy && free.Count > 0)
        {
            var address = free[scheduler.Random.Next(free.Count)];
            var eni = vpc.CreateNetworkInterface(new CreateEni { SubnetId = SubnetOf(address).Id, Primary = address });
            scheduler.After(scheduler.Between(Keeps / 2, Keeps), () => vpc.DeleteNetworkInterface(eni.Id));
        }
    }

    private Subnet SubnetOf(System.Net.IPAddress address) => vpc.Subnets.First(subnet => subnet.Cidr.Contains(address));
}
