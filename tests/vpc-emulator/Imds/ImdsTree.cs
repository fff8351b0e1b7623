using System.Globalization;
using System.Net;
using System.Text.Json;

namespace AwsVpcCni.VpcEmulator.Imds;

/// <summary>The metadata service's paths and their contents, made from one snapshot of an instance.</summary>
internal sealed class ImdsTree
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private readonly SortedDictionary<string, string> _leaves = new(StringComparer.Ordinal);

    /// <summary>Directories that are listed above and not there themselves.</summary>
    private readonly SortedSet<string> _hollow = new(StringComparer.Ordinal);

    public ImdsTree(ImdsInstance instance)
    {
        var primary = instance.Interfaces.Single(i => i is { DeviceNumber: 0, NetworkCard: 0 });
        var address = primary.LocalIpv4s[0];
        const string meta = "latest/meta-data/";
        Add(meta + "instance-id", instance.InstanceId);
        Add(meta + "instance-type", instance.InstanceType);
        Add(meta + "mac", primary.Mac);
        Add(meta + "local-ipv4", address.ToString());
        Add(meta + "local-hostname", Hostname(address, instance.Region));
        Add(meta + "hostname", Hostname(address, instance.Region));
        Add(meta + "placement/availability-zone", instance.AvailabilityZone);
        Add(meta + "placement/availability-zone-id", instance.AvailabilityZoneId);
        Add(meta + "placement/region", instance.Region);
        Add(meta + "services/domain", "amazonaws.com");
        Add(meta + "services/partition", "aws");
        foreach (var i in instance.Interfaces)
        {
            var at = $"{meta}network/interfaces/macs/{i.Mac}/";
            if (i.IsWhole)
            {
                AddInterface(at, i, instance.Region);
            }
            else
            {
                _hollow.Add(at);
            }
        }

        Add("latest/dynamic/instance-identity/document", IdentityDocument(instance, address));
    }

    /// <summary>A key's content, or a directory's list: a line each, a directory's ending in a slash.</summary>
    /// <param name="path">Without its first slash.</param>
    /// <returns>Null: there is no such path.</returns>
    public string? Find(string path)
    {
        if (_leaves.TryGetValue(path, out var content))
        {
            return content;
        }

        var directory = path.Length == 0 || path.EndsWith('/') ? path : path + "/";
        var names = _leaves.Keys.Concat(_hollow).Order(StringComparer.Ordinal)
            .Where(leaf => leaf.Length > directory.Length && leaf.StartsWith(directory, StringComparison.Ordinal))
            .Select(leaf => leaf[directory.Length..])
            .Select(rest => rest.Contains('/', StringComparison.Ordinal) ? rest[..(rest.IndexOf('/', StringComparison.Ordinal) + 1)] : rest)
            .Distinct()
            .ToList();
        return names.Count == 0 ? null : string.Join('\n', names);
    }

    private void AddInterface(string at, ImdsInterface i, string region)
    {
        Add(at + "device-number", i.DeviceNumber.ToString(CultureInfo.InvariantCulture));
        Add(at + "interface-id", i.EniId);
        Add(at + "network-card", i.NetworkCard.ToString(CultureInfo.InvariantCulture));
        Add(at + "mac", i.Mac);
        Add(at + "owner-id", i.OwnerId);
        Add(at + "subnet-id", i.SubnetId);
        Add(at + "vpc-id", i.VpcId);
        Add(at + "security-group-ids", string.Join('\n', i.SecurityGroupIds));
        Add(at + "local-hostname", Hostname(i.LocalIpv4s[0], region));
        Add(at + "local-ipv4s", string.Join('\n', i.LocalIpv4s));
        Add(at + "ipv4-prefix", string.Join('\n', i.Ipv4Prefixes));
        Add(at + "subnet-ipv4-cidr-block", i.SubnetCidr.ToString());
        Add(at + "vpc-ipv4-cidr-block", i.VpcCidrs[0].ToString());
        Add(at + "vpc-ipv4-cidr-blocks", string.Join('\n', i.VpcCidrs));
    }

    /// <summary>A key without content does not exist, neither in its directory's list nor by its path.</summary>
    private void Add(string path, string content)
    {
        if (content.Length > 0)
        {
            _leaves.Add(path, content);
        }
    }

    private static string Hostname(IPAddress address, string region) =>
        $"ip-{address.ToString().Replace('.', '-')}.{(region == "us-east-1" ? "ec2" : region + ".compute")}.internal";

    private static string IdentityDocument(ImdsInstance instance, IPAddress address) => JsonSerializer.Serialize(
        new SortedDictionary<string, string?>(StringComparer.Ordinal)
        {
            ["accountId"] = instance.AccountId,
            ["architecture"] = instance.Architecture,
            ["availabilityZone"] = instance.AvailabilityZone,
            ["billingProducts"] = null,
            ["devpayProductCodes"] = null,
            ["imageId"] = instance.ImageId,
            ["instanceId"] = instance.InstanceId,
            ["instanceType"] = instance.InstanceType,
            ["kernelId"] = null,
            ["marketplaceProductCodes"] = null,
            ["pendingTime"] = instance.PendingTime.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
            ["privateIp"] = address.ToString(),
            ["ramdiskId"] = null,
            ["region"] = instance.Region,
            ["version"] = "2017-09-30",
        },
        Indented);
}
