using System.Net;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

internal static class CreateNetworkInterface
{
    public static Effect Read(RequestParameters request)
    {
        var primary = request.Address("PrivateIpAddress");
        var secondary = Secondary(request, ref primary);
        var count = Count(request, "SecondaryPrivateIpAddressCount");
        var prefixes = request.Structures("Ipv4Prefix").ConvertAll(structure => RequestParameters.ParseNetwork(request.Required(structure + ".Ipv4Prefix")));
        var prefixCount = Count(request, "Ipv4PrefixCount");
        if (new[] { secondary.Count > 0, count > 0, prefixes.Count > 0, prefixCount > 0 }.Count(option => option) > 1)
        {
            throw new Ec2Exception("InvalidParameterCombination",
                "You may specify one and only one of privateIpAddressSet or secondaryPrivateIpAddressCount or ipv4PrefixSet or ipv4PrefixCount");
        }

        if (request.Text("InterfaceType") is not (null or "interface"))
        {
            throw Ec2Exception.Invalid($"Invalid value '{request.Text("InterfaceType")}' for InterfaceType. The emulator has `interface` only.");
        }

        var create = new CreateEni
        {
            SubnetId = request.Required("SubnetId"),
            Description = request.Text("Description") ?? "",
            Primary = primary,
            Secondary = secondary,
            SecondaryCount = count,
            Prefixes = prefixes,
            PrefixCount = prefixCount,
            Groups = request.List("SecurityGroupId"),
            Tags = request.TagSpecifications("network-interface"),
            ClientToken = request.Text("ClientToken"),
        };
        return vpc =>
        {
            var eni = vpc.CreateNetworkInterface(create);
            return [Xml.Element("networkInterface", InterfaceXml.Of(vpc, eni)), create.ClientToken is { } token ? Xml.Element("clientToken", token) : null];
        };
    }

    /// <summary>The list of addresses, of which one may be the primary.</summary>
    private static List<IPAddress> Secondary(RequestParameters request, ref IPAddress? primary)
    {
        var secondary = new List<IPAddress>();
        foreach (var structure in request.Structures("PrivateIpAddresses"))
        {
            request.Required(structure + ".PrivateIpAddress");
            var address = request.Address(structure + ".PrivateIpAddress")!;
            if (request.Boolean(structure + ".Primary") != true)
            {
                secondary.Add(address);
            }
            else if (primary is null)
            {
                primary = address;
            }
            else
            {
                throw Ec2Exception.Invalid("Only one primary private IP address can be specified.");
            }
        }

        return secondary;
    }

    private static int Count(RequestParameters request, string name) => request.Integer(name) switch
    {
        < 0 and var count => throw Ec2Exception.Invalid($"Value ( {count} ) for parameter {name} is invalid."),
        var count => count ?? 0,
    };
}
