using System.Net;

namespace AwsVpcCni.VpcEmulator.Model;

/// <content>Subnet CIDR reservations.</content>
public sealed partial class Vpc
{
    /// <summary>Keeps a part of a subnet from EC2's own choice. What is used there already stays used.</summary>
    public CidrReservation CreateSubnetCidrReservation(
        string subnetId, IPNetwork cidr, ReservationType type, string description = "", IReadOnlyDictionary<string, string>? tags = null)
    {
        Advance();
        var subnet = FindSubnet(subnetId) ?? throw Ec2Exception.NoSubnet(subnetId);
        CheckTags(tags ?? new Dictionary<string, string>());
        if (!subnet.Cidr.Contains(cidr.BaseAddress) || cidr.PrefixLength < subnet.Cidr.PrefixLength)
        {
            throw Ec2Exception.Invalid($"Reservation CIDR should be within subnet CIDR block ({subnet.Cidr})");
        }

        if (type == ReservationType.Prefix && cidr.PrefixLength > 28)
        {
            throw Ec2Exception.Invalid($"Reservation CIDR {cidr} holds no /28 prefix."); // Not seen on EC2; it could never serve.
        }

        if (subnet.Reservations.Any(other => other.Cidr.Contains(cidr.BaseAddress) || cidr.Contains(other.Cidr.BaseAddress)))
        {
            throw Ec2Exception.Invalid($"Reservation CIDR {cidr} has overlap with existing reserved CIDR block");
        }

        var reservation = new CidrReservation(++_sequence, NewId("scr-"), subnetId, cidr, type, description, new(StringComparer.Ordinal));
        Replace(reservation.Tags, tags ?? new Dictionary<string, string>());
        subnet.Add(reservation);
        return reservation;
    }

    public CidrReservation DeleteSubnetCidrReservation(string reservationId)
    {
        Advance();
        var subnet = Subnets.FirstOrDefault(subnet => subnet.Reservations.Any(one => one.Id == reservationId));
        var reservation = subnet?.Reservations.First(one => one.Id == reservationId)
            ?? throw new Ec2Exception("InvalidSubnetCidrReservationID.NotFound", $"The subnet CIDR reservation ID '{reservationId}' does not exist");
        subnet!.Remove(reservation);
        return reservation;
    }

    /// <summary>In the order in which they were made.</summary>
    public IReadOnlyList<CidrReservation> GetSubnetCidrReservations(string subnetId)
    {
        Advance();
        return [.. (FindSubnet(subnetId) ?? throw Ec2Exception.NoSubnet(subnetId)).Reservations];
    }
}
