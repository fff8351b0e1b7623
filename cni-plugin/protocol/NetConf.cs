using System.Text.Json;
using System.Text.Unicode;

namespace AwsVpcCni.CniProtocol;

/// <summary>The network configuration that the runtime gives on stdin, as far as we read it. Keys that we do not know are allowed.</summary>
/// <param name="Version">In which the result is to be written.</param>
/// <param name="Name">The network's.</param>
/// <param name="Type">The plugin's file name.</param>
/// <param name="Mtu">Of the pod's link; null: the config says nothing, and the node's setting holds.</param>
/// <param name="PrevResult">Raw JSON of the result before this plugin, or (CHECK, DEL) of our own ADD; null: none. Never a key to anything.</param>
/// <remarks>
/// A DEL ought to go on when this cannot be parsed: all that it needs is the container's id and the link's name, and an error
/// would leave the runtime with a sandbox that it can never remove.
/// </remarks>
public sealed record NetConf(CniVersion Version, string Name, string Type, int? Mtu, string? PrevResult)
{
    /// <summary>The least that every host must accept, RFC 791.</summary>
    public const int MinMtu = 576;

    /// <summary>A jumbo frame inside a VPC.</summary>
    public const int MaxMtu = 9001;

    /// <summary>Reads and checks a whole config.</summary>
    /// <exception cref="CniException">Code 6 for what is no JSON, 1 for a version that we do not speak, 7 for a wrong value; with the key.</exception>
    public static NetConf Parse(ReadOnlyMemory<byte> stdin)
    {
        using var document = Json(stdin);
        return Read(document.RootElement);
    }

    /// <summary>The same for a command that not every version of the specification has.</summary>
    /// <exception cref="CniException">As above; code 1 also for a version that is too old for the command.</exception>
    public static NetConf Parse(ReadOnlyMemory<byte> stdin, CniCommand command)
    {
        var conf = Parse(stdin);
        return conf.Version >= command.Since() ? conf : throw CniException.Of(
            CniErrorCode.IncompatibleVersion,
            $"the network configuration has cniVersion {conf.Version.Text()}, and {command.ToString().ToUpperInvariant()} came with {command.Since().Text()}. Raise the list's cniVersion to use it");
    }

    /// <summary>The config's version if it can be had at all: for an error about the rest of it.</summary>
    public static CniVersion? VersionOf(ReadOnlyMemory<byte> stdin)
    {
        try
        {
            using var document = Json(stdin);
            return document.RootElement.ValueKind is JsonValueKind.Object
                && document.RootElement.TryGetProperty("cniVersion"u8, out var version)
                && version.ValueKind is JsonValueKind.String
                ? CniVersions.Parse(version.GetString())
                : null;
        }
        catch (CniException)
        {
            return null;
        }
    }

    /// <summary>JSON all of whose keys and texts can be read, and written again.</summary>
    /// <remarks>The library looks at bytes and escapes of a text only when it is asked for, and at those of keys while it looks for another one:
    /// then a text that is none would be an error in the middle of a pod's wiring.</remarks>
    private static JsonDocument Json(ReadOnlyMemory<byte> stdin)
    {
        try
        {
            var reader = new Utf8JsonReader(Utf8.IsValid(stdin.Span) ? stdin.Span : throw new JsonException("It is not UTF-8."));
            while (reader.Read())
            {
                if (reader.TokenType is JsonTokenType.PropertyName or JsonTokenType.String && reader.ValueIsEscaped)
                {
                    reader.GetString();
                }
            }

            return JsonDocument.Parse(stdin);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException) // The latter by an escaped half of a surrogate pair.
        {
            throw new CniException(new CniError(CniErrorCode.DecodingFailure, "the network configuration on stdin is no JSON", e.Message), e);
        }
    }

    private static NetConf Read(JsonElement root)
    {
        if (root.ValueKind is not JsonValueKind.Object)
        {
            throw CniException.Of(CniErrorCode.DecodingFailure, $"the network configuration on stdin is no JSON object but of kind {root.ValueKind}");
        }

        // The version comes first: what the other keys mean depends on it.
        var versionText = OptionalText(root, "cniVersion") ?? throw Unspoken("has no cniVersion, which means 0.1.0");
        var version = CniVersions.Parse(versionText) ?? throw Unspoken($"has cniVersion {versionText}");
        var name = OptionalText(root, "name") is { Length: > 0 } given ? given : throw Wrong("name", "is missing");
        if (!Names.IsId(name))
        {
            throw Wrong("name", $"{name} must begin with a letter or digit and go on with letters, digits, '_', '.' and '-'");
        }

        var type = OptionalText(root, "type") is { Length: > 0 } plugin ? plugin : throw Wrong("type", "is missing");
        return new NetConf(version, name, type, ReadMtu(root), ReadPrevResult(root));
    }

    private static int? ReadMtu(JsonElement root)
    {
        if (!root.TryGetProperty("mtu"u8, out var mtu))
        {
            return null;
        }

        // amazon-vpc-cni-k8s' config writes it as a string.
        var number = mtu.ValueKind switch
        {
            JsonValueKind.Number when mtu.TryGetInt32(out var value) => value,
            JsonValueKind.String when int.TryParse(mtu.GetString(), out var value) => value,
            _ => throw Wrong("mtu", "is no whole number"),
        };
        return number is >= MinMtu and <= MaxMtu ? number : throw Wrong("mtu", $"{number} is not from {MinMtu} to {MaxMtu}");
    }

    private static string? ReadPrevResult(JsonElement root) =>
        !root.TryGetProperty("prevResult"u8, out var previous) || previous.ValueKind is JsonValueKind.Null ? null
        : previous.ValueKind is JsonValueKind.Object ? previous.GetRawText()
        : throw Wrong("prevResult", "is no JSON object");

    private static string? OptionalText(JsonElement root, string key) =>
        !root.TryGetProperty(key, out var value) ? null
        : value.ValueKind is JsonValueKind.String ? value.GetString()
        : throw Wrong(key, "is no string");

    private static CniException Unspoken(string what) => CniException.Of(
        CniErrorCode.IncompatibleVersion,
        $"the network configuration {what}; this plugin speaks {string.Join(", ", CniVersions.All.Select(v => v.Text()))}");

    private static CniException Wrong(string key, string what) =>
        CniException.Of(CniErrorCode.InvalidNetworkConfig, $"the network configuration's {key} {what}");
}
