using System.Collections.Immutable;
using System.Net;
using System.Text.Json;

namespace AwsVpcCni.CniProtocol;

/// <summary>A config's prevResult: at an ADD what the plugins before us have made, at a CHECK what the whole chain's ADD has.</summary>
/// <remarks>Keys that we do not know are allowed, and kept.</remarks>
public sealed class PrevResult
{
    /// <summary>Characters. A chain's result has some 1,000; six times as much, when each is escaped, must fit into a reply with ours.</summary>
    public const int MaxLength = 128 * 1024;

    /// <summary>All that is written again is looked at here: a result that could not be written would be known only when the pod is wired.</summary>
    private PrevResult(JsonElement root, ImmutableArray<PrevInterface> interfaces, ImmutableArray<PrevIp> ips) =>
        (Root, Interfaces, Ips, HasDefaultRoute) = (root, interfaces, ips, Array(root, "routes").Select(route => Text(route, "dst")).ToHashSet().Contains("0.0.0.0/0"));

    /// <summary>In the chain's order.</summary>
    public ImmutableArray<PrevInterface> Interfaces { get; }

    /// <summary>In the chain's order.</summary>
    public ImmutableArray<PrevIp> Ips { get; }

    /// <summary>Whether the pod has an IPv4 default route in it already.</summary>
    public bool HasDefaultRoute { get; }

    /// <summary>The whole object.</summary>
    internal JsonElement Root { get; }

    /// <param name="json">From <see cref="NetConf.PrevResult"/>.</param>
    /// <param name="version">The config's, in which a runtime has to give it.</param>
    /// <exception cref="CniException">Code 7, with the key.</exception>
    public static PrevResult Parse(string json, CniVersion version)
    {
        if (json.Length > MaxLength)
        {
            throw Wrong($"it has {json.Length} characters, more than {MaxLength}");
        }

        var root = JsonDocument.Parse(json).RootElement; // Of a config that was JSON.
        if (Text(root, "cniVersion") is { } given && given != version.Text())
        {
            throw Wrong($"cniVersion is {given}, the configuration's {version.Text()}: the runtime has to convert it");
        }

        var interfaces = Array(root, "interfaces").Select(link => new PrevInterface(
            Text(link, "name") ?? throw Wrong("interfaces: one has no name"), Text(link, "mac"), Text(link, "sandbox") is { Length: > 0 } sandbox ? sandbox : null)).ToImmutableArray();
        return new PrevResult(root, interfaces, [.. Array(root, "ips").Select(ip => ReadIp(ip, interfaces.Length))]);
    }

    /// <summary>An array's objects; none when the key is absent or null.</summary>
    internal static IEnumerable<JsonElement> Array(JsonElement root, string key) =>
        !root.TryGetProperty(key, out var array) || array.ValueKind is JsonValueKind.Null ? []
        : array.ValueKind is JsonValueKind.Array && array.EnumerateArray().All(element => element.ValueKind is JsonValueKind.Object) ? array.EnumerateArray()
        : throw Wrong($"{key} is no list of objects");

    private static PrevIp ReadIp(JsonElement ip, int interfaces)
    {
        var text = Text(ip, "address") ?? throw Wrong("ips: one has no address");
        int? at = !ip.TryGetProperty("interface", out var index) || index.ValueKind is JsonValueKind.Null ? null
            : index.ValueKind is JsonValueKind.Number && index.TryGetInt32(out var number) && number >= 0 && number < interfaces ? number
            : throw Wrong($"ips: the interface of {text} is none of its {interfaces} interfaces");
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        var gateway = Text(ip, "gateway");
        IPAddress? via = null;
        return IPAddress.TryParse(slash < 0 ? text : text[..slash], out var address) && (gateway is null || IPAddress.TryParse(gateway, out via))
            ? new PrevIp(address, at, via)
            : throw Wrong($"ips: {text} or its gateway is no address");
    }

    private static string? Text(JsonElement parent, string key) =>
        !parent.TryGetProperty(key, out var value) || value.ValueKind is JsonValueKind.Null ? null
        : value.ValueKind is JsonValueKind.String ? value.GetString()
        : throw Wrong($"{key} is no string");

    private static CniException Wrong(string what) =>
        CniException.Of(CniErrorCode.InvalidNetworkConfig, $"the network configuration's prevResult: {what}");
}

/// <summary>A link of a previous result.</summary>
/// <param name="Mac">Null: not said.</param>
/// <param name="Sandbox">Null for a link of the host.</param>
public sealed record PrevInterface(string Name, string? Mac, string? Sandbox);

/// <summary>An address of a previous result.</summary>
/// <param name="Interface">Into <see cref="PrevResult.Interfaces"/>; null: not said.</param>
/// <param name="Gateway">Null: not said.</param>
public sealed record PrevIp(IPAddress Address, int? Interface, IPAddress? Gateway);
