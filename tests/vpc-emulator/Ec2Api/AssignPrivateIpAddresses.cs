using System.Net;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

internal static class AssignPrivateIpAddresses
{
    public static Effect Read(RequestParameters request)
    {
        var eni = request.EniId();
        var addresses = request.Addresses("PrivateIpAddress");
        var count = Count(request, "SecondaryPrivateIpAddressCount");
        var prefixes = request.Networks("Ipv4Prefix");
        var prefixCount = Count(request, "Ipv4PrefixCount");
        var allowReassignment = request.Boolean("AllowReassignment") ?? false;
        var given = new[] { addresses.Count > 0, count is not null, prefixes.Count > 0, prefixCount is not null }.Count(option => option);
        if (given > 1)
        {
            throw new Ec2Exception("InvalidParameterCombination",
                "You may specify one and only one of privateIpAddressSet or secondaryPrivateIpAddressCount or ipv4PrefixSet or ipv4PrefixCount");
        }

        if (given == 0)
        {
            throw new Ec2Exception("MissingParameter",
                "The request must contain the parameter privateIpAddressSet or secondaryPrivateIpAddressCount or ipv4PrefixSet or ipv4PrefixCount");
        }

        return vpc => Answer(
            eni,
            count is { } many ? vpc.AssignPrivateIpAddresses(eni, many)
                : addresses.Count > 0 ? vpc.AssignPrivateIpAddresses(eni, addresses, allowReassignment) : [],
            prefixCount is { } blocks ? vpc.AssignIpv4Prefixes(eni, blocks)
                : prefixes.Count > 0 ? vpc.AssignIpv4Prefixes(eni, prefixes) : []);
    }

    /// <summary>Only the new ones.</summary>
    private static object?[] Answer(string eni, IReadOnlyList<IPAddress> addresses, IReadOnlyList<IPNetwork> prefixes) =>
    [
        Xml.Element("networkInterfaceId", eni),
        Xml.Set("assignedPrivateIpAddressesSet", addresses.Select(address => Xml.Element("privateIpAddress", address))),
        Xml.Set("assignedIpv4PrefixSet", prefixes.Select(prefix => Xml.Element("ipv4Prefix", prefix))),
        Xml.Element("return", true),
    ];

    private static int? Count(RequestParameters request, string name) => request.Integer(name) switch
    {
        < 1 and var count => throw Ec2Exception.Invalid($"Value ( {count} ) for parameter {name} is invalid. Must be at least 1."),
        var count => count,
    };
}
