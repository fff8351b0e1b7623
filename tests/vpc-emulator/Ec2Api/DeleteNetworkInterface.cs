namespace AwsVpcCni.VpcEmulator.Ec2Api;

internal static class DeleteNetworkInterface
{
    public static Effect Read(RequestParameters request)
    {
        var eni = request.EniId();
        return vpc =>
        {
            vpc.DeleteNetworkInterface(eni);
            return Xml.Done;
        };
    }
}
