using System.Buffers;
using System.Globalization;
using System.Net;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

/// <summary>The parameters of one call, as the Query protocol flattens them: `Filter.1.Value.2`.</summary>
/// <remarks>Remembers what was read. What an action has not read it would silently ignore, so <see cref="RefuseUnread"/> refuses it.</remarks>
public sealed class RequestParameters(IReadOnlyDictionary<string, string> all)
{
    private static readonly SearchValues<char> Hexadecimal = SearchValues.Create("0123456789abcdef");
    private readonly HashSet<string> _read = ["Action", "Version"];

    /// <summary>By name, as they were sent.</summary>
    public IReadOnlyDictionary<string, string> All => all;

    /// <summary>Which of EC2's servers answers; they may lag behind differently.</summary>
    public string Server { get; init; } = "";

    public string Action => all.GetValueOrDefault("Action", "");

    public bool IsDryRun => Boolean("DryRun") ?? false;

    /// <summary>Whether the large bucket of the describes applies.</summary>
    public bool IsFilteredOrPaginated =>
        all.Keys.Any(key => key.StartsWith("Filter.", StringComparison.Ordinal) || key is "MaxResults" or "NextToken");

    public string? Text(string name)
    {
        _read.Add(name);
        return all.GetValueOrDefault(name);
    }

    public string Required(string name) =>
        Text(name) ?? throw new Ec2Exception("MissingParameter", $"The request must contain the parameter {name}");

    public bool? Boolean(string name) => Text(name) switch
    {
        null => null,
        "true" => true,
        "false" => false,
        var other => throw Ec2Exception.Invalid($"Invalid value '{other}' for {name}. Must be true or false."),
    };

    public int? Integer(string name) => Text(name) switch
    {
        null => null,
        var text when int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) => number,
        var other => throw Ec2Exception.Invalid($"Invalid value '{other}' for {name}. Must be an integer."),
    };

    public IPAddress? Address(string name) => Text(name) is { } text ? ParseAddress(text) : null;

    /// <summary>`name.1`, `name.2`, ... as long as they are there.</summary>
    public List<string> List(string name) => [.. Numbered(name).Select(Text).TakeWhile(value => value is not null).Select(value => value!)];

    public List<IPAddress> Addresses(string name) => [.. List(name).Select(ParseAddress)];

    /// <summary>Blocks whose host bits are zero; their size is for the model to judge.</summary>
    public List<IPNetwork> Networks(string name) => [.. List(name).Select(ParseNetwork)];

    /// <summary>`name.1`, `name.2`, ... as long as something is below them: names to put a member's behind.</summary>
    public List<string> Structures(string name) =>
        [.. Numbered(name).TakeWhile(start => all.Keys.Any(key => key.StartsWith(start + ".", StringComparison.Ordinal)))];

    /// <summary>A required id of the form `eni-` and hexadecimal digits.</summary>
    public string EniId(string name = "NetworkInterfaceId") => WellFormedEni(Required(name));

    /// <summary>`name.N.Key` and `name.N.Value`.</summary>
    public SortedDictionary<string, string> Tags(string name)
    {
        var tags = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var tag in Structures(name))
        {
            if (!tags.TryAdd(Required(tag + ".Key"), Text(tag + ".Value") ?? ""))
            {
                throw Ec2Exception.Invalid($"Duplicate tag key '{Text(tag + ".Key")}' specified.");
            }
        }

        return tags;
    }

    /// <summary>The tags that a create is to set, of the one type of resource that it makes.</summary>
    public SortedDictionary<string, string> TagSpecifications(string resourceType)
    {
        var all = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var specification in Structures("TagSpecification"))
        {
            if (Required(specification + ".ResourceType") != resourceType)
            {
                throw Ec2Exception.Invalid($"'{Text(specification + ".ResourceType")}' is not a valid taggable resource type for this operation.");
            }

            foreach (var (key, value) in Tags(specification + ".Tag"))
            {
                all[key] = value;
            }
        }

        return all;
    }

    /// <exception cref="Ec2Exception">A parameter that nobody has read: a name that EC2 has not, or that this emulator lacks.</exception>
    public void RefuseUnread()
    {
        if (all.Keys.FirstOrDefault(key => !_read.Contains(key)) is { } unread)
        {
            throw new Ec2Exception("UnknownParameter", $"The parameter {unread} is not recognized (the emulator knows none of this name for {Action}).");
        }
    }

    public static string WellFormedEni(string id) =>
        id.Length is >= 12 and <= 21 && id.StartsWith("eni-", StringComparison.Ordinal) && id.AsSpan(4).IndexOfAnyExcept(Hexadecimal) < 0
            ? id
            : throw new Ec2Exception("InvalidNetworkInterfaceId.Malformed", $"Invalid id: \"{id}\"");

    /// <summary>`10.0.1.16/28`.</summary>
    public static IPNetwork ParseNetwork(string text) =>
        IPNetwork.TryParse(text, out var network) && network.BaseAddress.GetAddressBytes().Length == 4 && network.ToString() == text
            ? network
            : throw Ec2Exception.Invalid($"invalid value for parameter cidr: {text}");

    private static IPAddress ParseAddress(string text) =>
        IPAddress.TryParse(text, out var address) && address.GetAddressBytes().Length == 4 && address.ToString() == text
            ? address
            : throw Ec2Exception.Invalid($"invalid value for parameter address: {text}");

    private static IEnumerable<string> Numbered(string name) => Enumerable.Range(1, 1000).Select(n => string.Create(CultureInfo.InvariantCulture, $"{name}.{n}"));
}
