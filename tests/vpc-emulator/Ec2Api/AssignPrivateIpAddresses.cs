using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

internal static class AssignPrivateIpAddresses
{
    public static Effect Read(RequestParameters request)
    {
        var eni = request.EniId();
        var addresses = request.Addresses("PrivateIpAddress");
        var count = request.Integer("SecondaryPrivateIpAddressCount");
        var allowReassignment = request.Boolean("AllowReassignment") ?? false;
        if (addresses.Count > 0 && count is not null)
        {
            throw new Ec2Exception("InvalidParameterCombination",
                "You may specify one and only one of privateIpAddressSet or secondaryPrivateIpAddressCount");
        }

        if (addresses.Count == 0 && count is null)
        {
            throw new Ec2Exception("MissingParameter", "The request must contain the parameter privateIpAddressSet or secondaryPrivateIpAddressCount");
        }

        if (count < 1)
        {
            throw Ec2Exception.Invalid($"Value ( {count} ) for parameter secondaryPrivateIpAddressCount is invalid. Must be at least 1.");
        }

        return vpc =>
        [
            Xml.Element("networkInterfaceId", eni),
            Xml.Set("assignedPrivateIpAddressesSet",
                (count is { } many ? vpc.AssignPrivateIpAddresses(eni, many) : vpc.AssignPrivateIpAddresses(eni, addresses, allowReassignment))
                .Select(address => Xml.Element("privateIpAddress", address))),
            Xml.Element("return", true),
        ];
    }
}
