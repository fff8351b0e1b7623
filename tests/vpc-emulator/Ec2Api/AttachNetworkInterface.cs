using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

internal static class AttachNetworkInterface
{
    public static Effect Read(RequestParameters request)
    {
        var eni = request.EniId();
        var instance = request.Required("InstanceId");
        var device = request.Integer("DeviceIndex") ?? throw new Ec2Exception("MissingParameter", "The request must contain the parameter DeviceIndex");
        var card = request.Integer("NetworkCardIndex") ?? 0;
        return vpc =>
        [
            Xml.Element("attachmentId", vpc.AttachNetworkInterface(eni, instance, device, card).Id),
            Xml.Element("networkCardIndex", card),
        ];
    }
}
