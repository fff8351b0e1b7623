using System.Net;

namespace AwsVpcCni.VpcEmulator.Model;

/// <content>Secondary addresses, taken by name or by count, and given back.</content>
public sealed partial class Vpc
{
    /// <summary>Takes the named addresses for an interface. All or none.</summary>
    /// <param name="allowReassignment">Whether one that is another interface's secondary address moves over.</param>
    /// <returns>The new ones only: those that the interface held already are no error (believed of EC2, not confirmed).</returns>
    public IReadOnlyList<IPAddress> AssignPrivateIpAddresses(string eniId, IReadOnlyList<IPAddress> addresses, bool allowReassignment)
    {
        Advance();
        var eni = Existing(eniId);
        CheckNames(eni.Subnet, addresses);
        var added = addresses.Where(address => !eni.Addresses.Contains(address)).ToList();
        var held = added.Where(address => eni.Subnet.HolderOf(address) is not null).ToList();
        var holders = held.Select(address => _enis[eni.Subnet.HolderOf(address)!]).Distinct().ToList();
        if (holders.Exists(other => held.Contains(other.Addresses[0])))
        {
            throw Ec2Exception.Invalid("secondary-addresses"); // All that EC2 says when one is an interface's primary.
        }

        // An address of a prefix never moves, even to the interface that has the prefix.
        if (held.Count > 0 && (!allowReassignment || held.Exists(address => !holders.Exists(other => other.Addresses.Contains(address)))))
        {
            throw Ec2Exception.Invalid($"[{string.Join(", ", held)}] assigned, but move is not allowed.");
        }

        CheckRoom(eni, added.Count);
        foreach (var other in holders)
        {
            held.Where(other.Addresses.Contains).ToList().ForEach(other.Remove);
            AddressesChanged(other);
        }

        return Add(eni, added);
    }

    /// <summary>Takes as many addresses as asked, any that are free. All or none.</summary>
    public IReadOnlyList<IPAddress> AssignPrivateIpAddresses(string eniId, int count)
    {
        Advance();
        var eni = Existing(eniId);
        CheckRoom(eni, count);
        return Add(eni, eni.Subnet.ChooseFree(count, _random, []));
    }

    /// <summary>Gives secondary addresses and prefixes back. All or none. They can be taken again at once.</summary>
    /// <param name="prefixes">Null: none.</param>
    public void UnassignPrivateIpAddresses(string eniId, IReadOnlyList<IPAddress> addresses, IReadOnlyList<IPNetwork>? prefixes = null)
    {
        Advance();
        var eni = Existing(eniId);
        if (addresses.Contains(eni.Addresses[0]))
        {
            throw Ec2Exception.Invalid("The primary IP address of an interface cannot be unassigned.");
        }

        if (addresses.Any(address => !eni.Addresses.Contains(address)) || (prefixes?.Any(prefix => !eni.Prefixes.Contains(prefix)) ?? false))
        {
            throw Ec2Exception.Invalid($"Some of the specified addresses are not assigned to interface {eniId}");
        }

        addresses.ToList().ForEach(eni.Remove);
        prefixes?.ToList().ForEach(eni.Remove);
        AddressesChanged(eni);
    }

    private static void CheckNames(Subnet subnet, IReadOnlyList<IPAddress> addresses)
    {
        foreach (var address in addresses)
        {
            subnet.Check(address);
        }

        if (addresses.Distinct().Count() != addresses.Count)
        {
            throw Ec2Exception.Invalid($"Duplicate addresses in [{string.Join(", ", addresses)}].");
        }
    }

    /// <summary>The type's limit is known only once the interface is on an instance.</summary>
    private static void CheckRoom(Eni eni, int more)
    {
        if (eni.Attachment is { } attachment && eni.Slots + more > attachment.Instance.Type.Ipv4PerEni)
        {
            throw Ec2Exception.Of("PrivateIpAddressLimitExceeded");
        }
    }

    private List<IPAddress> Add(Eni eni, List<IPAddress> addresses)
    {
        addresses.ForEach(eni.Add);
        if (addresses.Count > 0)
        {
            AddressesChanged(eni);
        }

        return addresses;
    }

    /// <summary>An interface that no instance sees yet tells its addresses when it arrives there.</summary>
    private void AddressesChanged(Eni eni)
    {
        if (eni.Attachment is { Status: not AttachmentStatus.Attaching })
        {
            Happened?.Invoke(new VpcEvent.AddressesChanged(eni, [.. eni.Delivered]));
        }
    }
}
