namespace AwsVpcCni.VpcEmulator.Ec2Api;

internal static class DetachNetworkInterface
{
    public static Effect Read(RequestParameters request)
    {
        var attachment = request.Required("AttachmentId");
        request.Boolean("Force"); // Only failed instances need it, and none fails here.
        return vpc =>
        {
            vpc.DetachNetworkInterface(attachment);
            return Xml.Done;
        };
    }
}
