using System.Text.Json;

namespace AwsVpcCni.CniProtocol;

/// <summary>Error codes of a CNI reply: the specification's below 100, ours from 100.</summary>
public enum CniErrorCode
{
    /// <summary>The config's cniVersion is not one of ours.</summary>
    IncompatibleVersion = 1,

    /// <summary>The config asks for something that we do not do.</summary>
    UnsupportedField = 2,

    /// <summary>The container, or its network namespace, does not exist. A runtime need not call DEL after it.</summary>
    UnknownContainer = 3,

    /// <summary>A CNI_* variable is missing or invalid.</summary>
    InvalidEnvironment = 4,

    /// <summary>Reading or writing failed.</summary>
    IoFailure = 5,

    /// <summary>The config is no JSON, or too large.</summary>
    DecodingFailure = 6,

    /// <summary>The config is JSON, but a key of it is missing or wrong.</summary>
    InvalidNetworkConfig = 7,

    /// <summary>Trying again later can help.</summary>
    TryAgainLater = 11,

    /// <summary>STATUS: no ADD can be served now.</summary>
    NotAvailable = 50,

    /// <summary>STATUS: no ADD can be served now, and running containers may have lost connectivity.</summary>
    NotAvailableLimitedConnectivity = 51,

    /// <summary>The kernel refused a link, address, route or rule; what had been made for the pod was taken away again.</summary>
    WiringFailed = 100,

    /// <summary>This pod can have no address on this node, however often it is tried.</summary>
    NoAddressPossible = 101,

    /// <summary>A defect of ours; the executor's log has more.</summary>
    Internal = 103,

    /// <summary>CHECK: something of what the ADD made is missing or changed; the message names each.</summary>
    CheckFailed = 104,
}

/// <summary>What a failed CNI command prints. Texts end after <see cref="MaxTextLength"/> characters: some quote what was given, however long it is.</summary>
/// <param name="Code">For the runtime's decisions; people read the message.</param>
/// <param name="Message">One sentence: what, which, and what to do. containerd shows it in the pod's events.</param>
/// <param name="Details">More of it, for a reader of logs; null: none.</param>
public sealed record CniError(CniErrorCode Code, string Message, string? Details = null)
{
    /// <summary>Six times as much, when each is escaped, fits into a reply.</summary>
    public const int MaxTextLength = 4096;

    /// <inheritdoc cref="CniError"/>
    public string Message { get; } = Cut(Message);

    /// <inheritdoc cref="CniError"/>
    public string? Details { get; } = Details is null ? null : Cut(Details);

    /// <summary>The specification's error object, in UTF-8.</summary>
    /// <param name="version">The config's version; null when it could not be read: then the newest that every runtime knows.</param>
    public byte[] ToJson(CniVersion? version)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("cniVersion"u8, (version ?? CniVersion.V100).Text());
            json.WriteNumber("code"u8, (int)Code);
            json.WriteString("msg"u8, Message);
            if (Details is not null)
            {
                json.WriteString("details"u8, Details);
            }

            json.WriteEndObject();
        }

        return buffer.ToArray();
    }

    private static string Cut(string text) => text.Length <= MaxTextLength ? text : text[..MaxTextLength] + "…";
}

/// <summary>Carries a <see cref="CniError"/> from where it is found to the one place that answers the plugin.</summary>
public sealed class CniException : Exception
{
    /// <summary>An error found by ourselves.</summary>
    public CniException(CniError error)
        : base(error.Message) => Error = error;

    /// <summary>An error with the exception that told us.</summary>
    public CniException(CniError error, Exception inner)
        : base(error.Message, inner) => Error = error;

    /// <summary>What to print.</summary>
    public CniError Error { get; }

    /// <summary>Short for the constructor.</summary>
    public static CniException Of(CniErrorCode code, string message, string? details = null) => new(new CniError(code, message, details));
}
