using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

internal static class UnassignPrivateIpAddresses
{
    public static Effect Read(RequestParameters request)
    {
        var eni = request.EniId();
        var addresses = request.Addresses("PrivateIpAddress");
        var prefixes = request.Networks("Ipv4Prefix");
        if (addresses.Count + prefixes.Count == 0)
        {
            throw new Ec2Exception("MissingParameter", "The request must contain the parameter privateIpAddress or ipv4Prefix");
        }

        return vpc =>
        {
            vpc.UnassignPrivateIpAddresses(eni, addresses, prefixes);
            return Xml.Done;
        };
    }
}
