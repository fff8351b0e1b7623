namespace AwsVpcCni.CniProtocol;

/// <summary>
/// What a plugin leaves when its DEL finds no executor: an empty file <c>CONTAINERID:IFNAME</c> in a folder beside the executor's socket.
/// </summary>
/// <remarks>The executor makes the folder; without it no mark is left. ':' can be in no container's id and in no interface's name that we take.
/// The plugin has the same rules in a form that needs no managed runtime.</remarks>
public static class EndedMark
{
    /// <summary>Beside the socket.</summary>
    public const string Folder = "ended";

    /// <summary>So many pods fit on no node. A DEL without prevResult, so one whose ADD may never have succeeded, finds room for half of them only:
    /// ADDs that fail while no executor is there are tried again under new ids, and each attempt has its DEL.</summary>
    public const int Most = 2_000;

    /// <summary>The file's name.</summary>
    public static string NameOf(string containerId, string ifName) => $"{containerId}:{ifName}";

    /// <returns>Null when no plugin can have left it.</returns>
    public static (string ContainerId, string IfName)? TryParse(string name)
    {
        var colon = name.IndexOf(':', StringComparison.Ordinal);
        return colon > 0 && CniCall.IsContainerId(name[..colon]) && CniCall.IsIfName(name[(colon + 1)..]) ? (name[..colon], name[(colon + 1)..]) : null;
    }
}
