using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

internal static class CreateSubnetCidrReservation
{
    public static Effect Read(RequestParameters request)
    {
        var subnet = request.Required("SubnetId");
        var cidr = RequestParameters.ParseNetwork(request.Required("Cidr"));
        var type = request.Required("ReservationType") switch
        {
            "prefix" => ReservationType.Prefix,
            "explicit" => ReservationType.Explicit,
            var other => throw Ec2Exception.Invalid($"Invalid value '{other}' for ReservationType. Must be prefix or explicit."),
        };
        var description = request.Text("Description") ?? "";
        var tags = request.TagSpecifications("subnet-cidr-reservation");
        return vpc => [Xml.Element("subnetCidrReservation", SubnetCidrReservationXml.Of(vpc, vpc.CreateSubnetCidrReservation(subnet, cidr, type, description, tags)))];
    }
}
