using System.Text.Json;

namespace AwsVpcCni.CniProtocol;

/// <summary>GC: which attachments of the network the runtime still has. Everything else of it goes.</summary>
public static class ValidAttachments
{
    private const string Key = "cni.dev/valid-attachments";

    /// <param name="stdin">A config that <see cref="NetConf.Parse(ReadOnlyMemory{byte})"/> has read.</param>
    /// <returns>Container and link. None for an empty list, and for null: so libcni writes a runtime's empty list.</returns>
    /// <exception cref="CniException">Code 7: no list, or an entry that is none. Then nothing may be taken for gone.</exception>
    public static HashSet<(string ContainerId, string IfName)> Parse(ReadOnlyMemory<byte> stdin)
    {
        using var document = JsonDocument.Parse(stdin);
        if (!document.RootElement.TryGetProperty(Key, out var list))
        {
            throw Wrong("is missing. GC without it would take the network from every pod: give the attachments that are still valid, [] for none");
        }

        if (list.ValueKind is JsonValueKind.Null)
        {
            return [];
        }

        return list.ValueKind is JsonValueKind.Array
            ? [.. list.EnumerateArray().Index().Select(entry => (Text(entry, "containerID"), Text(entry, "ifname")))]
            : throw Wrong($"is of kind {list.ValueKind}, not a list of objects with containerID and ifname");
    }

    private static string Text((int Index, JsonElement Item) entry, string key) =>
        entry.Item.ValueKind is JsonValueKind.Object && entry.Item.TryGetProperty(key, out var value)
            && value.ValueKind is JsonValueKind.String && value.GetString() is { Length: > 0 } text ? text
            : throw Wrong($"has an entry {entry.Index} without a text {key}. Each must be like {{\"containerID\":\"...\",\"ifname\":\"eth0\"}}; nothing was released");

    private static CniException Wrong(string what) => CniException.Of(CniErrorCode.InvalidNetworkConfig, $"the network configuration's {Key} {what}");
}
