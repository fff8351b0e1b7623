namespace AwsVpcCni.VpcEmulator.Ec2Api;

internal static class DeleteSubnetCidrReservation
{
    public static Effect Read(RequestParameters request)
    {
        var id = request.Required("SubnetCidrReservationId");
        return vpc => [Xml.Element("deletedSubnetCidrReservation", SubnetCidrReservationXml.Of(vpc, vpc.DeleteSubnetCidrReservation(id)))];
    }
}
