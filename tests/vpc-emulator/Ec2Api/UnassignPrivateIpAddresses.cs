using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

internal static class UnassignPrivateIpAddresses
{
    public static Effect Read(RequestParameters request)
    {
        var eni = request.EniId();
        var addresses = request.Addresses("PrivateIpAddress");
        if (addresses.Count == 0)
        {
            throw new Ec2Exception("MissingParameter", "The request must contain the parameter privateIpAddress");
        }

        return vpc =>
        {
            vpc.UnassignPrivateIpAddresses(eni, addresses);
            return Xml.Done;
        };
    }
}
