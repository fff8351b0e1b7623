using System.Net;

namespace AwsVpcCni.VpcEmulator.Model;

/// <summary>What someone has done to an interface by hand.</summary>
/// <param name="Action">EC2's name.</param>
/// <param name="Addresses">Those that it no longer holds, or newly holds, or that do not reach its instance any more.</param>
public sealed record HandChange(string Action, string EniId, IReadOnlyList<IPAddress> Addresses);

/// <summary>Someone in a console who changes a VPC without telling anybody: no bucket, no fault, no call log.</summary>
/// <remarks>Never terminates or stops an instance: who wants that calls the model.</remarks>
public sealed class Hands(Vpc vpc, Random random)
{
    /// <summary>Does one thing at random.</summary>
    /// <param name="reach">The interfaces that may be touched.</param>
    /// <returns>Null: there was nothing to do of the kind that the hand wanted, or EC2 has refused it.</returns>
    public HandChange? Act(Func<Eni, bool> reach)
    {
        vpc.Advance();
        var enis = vpc.Enis.Where(reach).ToList();
        if (enis.Count == 0)
        {
            return null;
        }

        var eni = enis[random.Next(enis.Count)];
        try
        {
            return random.Next(7) switch
            {
                0 => Assign(eni),
                1 => AssignPrefix(eni),
                2 => Unassign(eni),
                3 => UnassignPrefix(eni),
                4 => Detach(eni),
                5 => Delete(eni),
                _ => Attach(eni),
            };
        }
        catch (Ec2Exception)
        {
            return null;
        }
    }

    public HandChange Assign(Eni eni) => new("AssignPrivateIpAddresses", eni.Id, vpc.AssignPrivateIpAddresses(eni.Id, 1));

    public HandChange AssignPrefix(Eni eni) => new("AssignPrivateIpAddresses", eni.Id, AddressesOf(vpc.AssignIpv4Prefixes(eni.Id, 1)));

    /// <returns>Null: it has no secondary address.</returns>
    public HandChange? Unassign(Eni eni)
    {
        if (eni.Addresses.Count < 2)
        {
            return null;
        }

        IPAddress[] taken = [eni.Addresses[random.Next(1, eni.Addresses.Count)]];
        vpc.UnassignPrivateIpAddresses(eni.Id, taken);
        return new("UnassignPrivateIpAddresses", eni.Id, taken);
    }

    /// <returns>Null: it has no prefix.</returns>
    public HandChange? UnassignPrefix(Eni eni)
    {
        if (eni.Prefixes.Count == 0)
        {
            return null;
        }

        IPNetwork[] taken = [eni.Prefixes[random.Next(eni.Prefixes.Count)]];
        vpc.UnassignPrivateIpAddresses(eni.Id, [], taken);
        return new("UnassignPrivateIpAddresses", eni.Id, AddressesOf(taken));
    }

    /// <returns>Null: it is on no instance.</returns>
    public HandChange? Detach(Eni eni)
    {
        if (eni.Attachment is not { } attachment)
        {
            return null;
        }

        vpc.DetachNetworkInterface(attachment.Id);
        return new("DetachNetworkInterface", eni.Id, [.. eni.Delivered]);
    }

    public HandChange Delete(Eni eni)
    {
        IPAddress[] held = [.. eni.Delivered];
        vpc.DeleteNetworkInterface(eni.Id);
        return new("DeleteNetworkInterface", eni.Id, held);
    }

    /// <summary>Puts it on any instance of its zone, at the first free place.</summary>
    /// <returns>Null: there is no such instance.</returns>
    public HandChange? Attach(Eni eni)
    {
        var near = vpc.Instances.Where(instance => instance.State == InstanceState.Running && instance.Subnet.Zone == eni.Subnet.Zone).ToList();
        if (near.Count == 0)
        {
            return null;
        }

        var instance = near[random.Next(near.Count)];
        vpc.AttachNetworkInterface(eni.Id, instance.Id, vpc.FreeDevice(instance));
        return new("AttachNetworkInterface", eni.Id, [.. eni.Delivered]);
    }

    private static List<IPAddress> AddressesOf(IEnumerable<IPNetwork> prefixes) => [.. prefixes.SelectMany(Subnet.AddressesOf)];
}
