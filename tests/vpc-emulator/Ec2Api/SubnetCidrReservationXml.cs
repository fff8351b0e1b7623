using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

/// <summary>A subnet CIDR reservation as the answers show it.</summary>
internal static class SubnetCidrReservationXml
{
    public static object?[] Of(Vpc vpc, CidrReservation reservation) =>
    [
        Xml.Element("subnetCidrReservationId", reservation.Id),
        Xml.Element("subnetId", reservation.SubnetId),
        Xml.Element("cidr", reservation.Cidr),
        Xml.Element("reservationType", Words(reservation.Type)),
        Xml.Element("ownerId", vpc.AccountId),
        Xml.Element("description", reservation.Description),
        Xml.Tags(reservation.Tags),
    ];

    public static string Words(ReservationType type) => type.ToString().ToLowerInvariant();
}
