using System.Net;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

internal static class CreateNetworkInterface
{
    public static Effect Read(RequestParameters request)
    {
        var secondary = new List<IPAddress>();
        var primary = request.Address("PrivateIpAddress");
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

        var count = request.Integer("SecondaryPrivateIpAddressCount") ?? 0;
        if (count < 0)
        {
            throw Ec2Exception.Invalid($"Value ( {count} ) for parameter secondaryPrivateIpAddressCount is invalid.");
        }

        if (count > 0 && secondary.Count > 0)
        {
            throw new Ec2Exception("InvalidParameterCombination",
                "You may specify one and only one of privateIpAddressSet or secondaryPrivateIpAddressCount");
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
            Groups = request.List("SecurityGroupId"),
            Tags = TagSpecifications(request),
            ClientToken = request.Text("ClientToken"),
        };
        return vpc =>
        {
            var eni = vpc.CreateNetworkInterface(create);
            return [Xml.Element("networkInterface", InterfaceXml.Of(vpc, eni)), create.ClientToken is { } token ? Xml.Element("clientToken", token) : null];
        };
    }

    private static SortedDictionary<string, string> TagSpecifications(RequestParameters request)
    {
        var all = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var specification in request.Structures("TagSpecification"))
        {
            if (request.Required(specification + ".ResourceType") != "network-interface")
            {
                throw Ec2Exception.Invalid($"'{request.Text(specification + ".ResourceType")}' is not a valid taggable resource type for this operation.");
            }

            foreach (var (key, value) in request.Tags(specification + ".Tag"))
            {
                all[key] = value;
            }
        }

        return all;
    }
}
