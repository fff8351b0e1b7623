using System.Net;

namespace AwsVpcCni.VpcEmulator.Model;

/// <content>How interfaces come into being.</content>
public sealed partial class Vpc
{
    private readonly Dictionary<string, (string Fingerprint, string EniId)> _tokens = [];

    /// <summary>Makes an interface, or shows the one that this ClientToken has made.</summary>
    public Eni CreateNetworkInterface(CreateEni request)
    {
        Advance();
        if (request.ClientToken is not { } token)
        {
            return Create(request);
        }

        if (token.Length > 64 || token.Any(c => !char.IsAscii(c)))
        {
            throw Ec2Exception.Invalid("Invalid value for parameter clientToken: at most 64 ASCII characters.");
        }

        var fingerprint = request.Fingerprint();
        if (!_tokens.TryGetValue(token, out var before))
        {
            var eni = Create(request);
            _tokens.Add(token, (fingerprint, eni.Id));
            After(_times.ClientTokenHours * 3_600_000L, () => _tokens.Remove(token));
            return eni;
        }

        // What EC2 answers for an interface deleted since is not documented. This one makes no second.
        return before.Fingerprint == fingerprint
            ? FindEni(before.EniId) ?? throw Ec2Exception.NoInterface(before.EniId)
            : throw Ec2Exception.Of("IdempotentParameterMismatch");
    }

    private Eni Create(CreateEni request)
    {
        var hidden = TimeSpan.FromMilliseconds(Lag.NewInterfaceMs == 0 ? 0 : _lags!.Next(Lag.NewInterfaceMs + 1));
        var eni = NewEni(request, _time.GetUtcNow() + hidden);
        After(Spread(_times.CreateMs), () =>
        {
            if (eni.Status == EniStatus.Pending)
            {
                eni.Status = EniStatus.Available;
            }
        });
        return eni;
    }

    private Eni NewEni(CreateEni request, DateTimeOffset visibleAt = default)
    {
        var subnet = FindSubnet(request.SubnetId) ?? throw Ec2Exception.NoSubnet(request.SubnetId);
        var groups = request.Groups.Count == 0 ? [_defaultGroup.Id] : Checked(request.Groups);
        CheckTags(request.Tags);
        IPAddress[] named = request.Primary is { } primary ? [primary, .. request.Secondary] : [.. request.Secondary];
        CheckNames(subnet, named);
        CheckNames(subnet, request.Prefixes);
        if (named.Any(address => subnet.HolderOf(address) is not null || request.Prefixes.Any(prefix => prefix.Contains(address)))
            || request.Prefixes.Any(subnet.IsUsed))
        {
            throw new Ec2Exception("InvalidIPAddress.InUse", "The specified address is already in use.");
        }

        if (_enis.Count >= _maximumInterfaces)
        {
            throw new Ec2Exception("NetworkInterfaceLimitExceeded", $"You've reached the limit of {_maximumInterfaces} network interfaces.");
        }

        var (addresses, prefixes) = Chosen(request, subnet, named);
        var eni = new Eni(++_sequence, NewId("eni-"), NewMac(), subnet, groups, changed => _changed.Add(changed))
        {
            Description = request.Description,
            ClientToken = request.ClientToken,
            VisibleAt = visibleAt,
        };
        addresses.ForEach(eni.Add);
        prefixes.ForEach(eni.Add);
        Replace(eni.Tags, request.Tags);
        _enis.Add(eni.Id, eni);
        return eni;
    }

    /// <summary>All that the new interface is to hold, the primary address first: what is named, and EC2's choice of the rest.</summary>
    private (List<IPAddress> Addresses, List<IPNetwork> Prefixes) Chosen(CreateEni request, Subnet subnet, IPAddress[] named)
    {
        var counted = request.SecondaryCount + (request.Primary is null ? 1 : 0);
        var wanted = named.Length + counted + (16 * (request.Prefixes.Count + request.PrefixCount));
        if ((request.SecondaryCount > 0 || request.PrefixCount > 0) && wanted > subnet.FreeCount)
        {
            throw Ec2Exception.Invalid("There aren't sufficient free Ipv4 addresses or prefixes");
        }

        // Blocks before singles: a single at random would break one of them.
        List<IPNetwork> prefixes = [.. request.Prefixes, .. subnet.ChoosePrefixes(request.PrefixCount, _random, named)];
        var chosen = subnet.ChooseFree(counted, _random, [.. named, .. prefixes.SelectMany(Subnet.AddressesOf)]);
        return (request.Primary is null ? [chosen[0], .. named, .. chosen.Skip(1)] : [.. named, .. chosen], prefixes);
    }
}
