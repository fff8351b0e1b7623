using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

internal static class GetSubnetCidrReservations
{
    private static readonly Dictionary<string, FilterValues<CidrReservation>> Known = new()
    {
        ["reservationType"] = (_, reservation) => [SubnetCidrReservationXml.Words(reservation.Type)],
    };

    public static Effect Read(RequestParameters request)
    {
        var subnet = request.Required("SubnetId");
        var filters = new Filters<CidrReservation>(request, Known, reservation => reservation.Tags);
        var page = new Page(request, []);
        return vpc =>
        {
            var matching = vpc.GetSubnetCidrReservations(subnet).Where(reservation => filters.Match(vpc, reservation));
            return
            [
                page.Of("subnetIpv4CidrReservationSet", matching.Select(one => (one.Sequence, one)), one => SubnetCidrReservationXml.Of(vpc, one)),
                Xml.Set("subnetIpv6CidrReservationSet", []),
            ];
        };
    }
}
