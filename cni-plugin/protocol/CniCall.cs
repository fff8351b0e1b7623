using System.Text;

namespace AwsVpcCni.CniProtocol;

/// <summary>What a runtime can ask of a plugin. VERSION is answered by the plugin itself, yet valid here.</summary>
public enum CniCommand
{
    /// <summary>Connect a container.</summary>
    Add,

    /// <summary>Take away what an ADD made; succeeds when nothing is left to take away.</summary>
    Del,

    /// <summary>Is what the ADD made still there?</summary>
    Check,

    /// <summary>Take away what belongs to none of the attachments that the runtime lists.</summary>
    Gc,

    /// <summary>Could an ADD be served now?</summary>
    Status,

    /// <summary>Which versions of the specification are spoken?</summary>
    Version,
}

/// <summary>One call of the runtime: its CNI_* variables, checked. The config on stdin is <see cref="NetConf"/>'s.</summary>
/// <param name="Command">CNI_COMMAND.</param>
/// <param name="ContainerId">With the link's name the key of everything about a sandbox. Empty for GC, STATUS and VERSION, which are about no container.</param>
/// <param name="NetnsPath">Empty when a DEL comes after the namespace is gone.</param>
/// <param name="IfName">The link inside the pod, usually eth0. Empty where the container's id is.</param>
/// <param name="Args">Read for ADD and CHECK only: a DEL must not fail on arguments on which its ADD has failed.</param>
public sealed record CniCall(CniCommand Command, string ContainerId, string NetnsPath, string IfName, CniArgs Args)
{
    /// <summary>Runtimes' ids have 64 characters; twice that leaves 30 bytes of a link's alias (255) for the pod's name, beside the longest address and interface name.</summary>
    public const int MaxContainerIdLength = 128;

    /// <summary>IFNAMSIZ - 1, linux/if.h.</summary>
    public const int MaxIfNameLength = 15;

    /// <summary>PATH_MAX - 1, linux/limits.h: a longer one cannot be opened. It comes back in the result.</summary>
    public const int MaxNetnsPathLength = 4095;

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <param name="environment">The environment part of a request: <c>NAME=value</c> and a NUL each. Names that we do not know are passed over.</param>
    /// <exception cref="CniException">Code 4, with the variable's name.</exception>
    public static CniCall Parse(ReadOnlySpan<byte> environment)
    {
        var variables = Variables(environment);
        var command = ParseCommand(variables.GetValueOrDefault("CNI_COMMAND", ""));
        if (command is CniCommand.Gc or CniCommand.Status or CniCommand.Version)
        {
            return new CniCall(command, "", "", "", CniArgs.None);
        }

        var containerId = Required(variables, "CNI_CONTAINERID", command);
        CheckContainerId(containerId);
        var ifName = Required(variables, "CNI_IFNAME", command);
        CheckIfName(ifName);
        var netns = command is CniCommand.Del ? variables.GetValueOrDefault("CNI_NETNS", "") : Required(variables, "CNI_NETNS", command);
        if (command is not CniCommand.Del && netns.Length > MaxNetnsPathLength)
        {
            throw Invalid($"CNI_NETNS has {netns.Length} characters, more than the {MaxNetnsPathLength} of a path");
        }

        var args = command is CniCommand.Del ? CniArgs.None : CniArgs.Parse(variables.GetValueOrDefault("CNI_ARGS", ""));
        return new CniCall(command, containerId, netns, ifName, args);
    }

    internal static bool IsContainerId(string text) => text.Length <= MaxContainerIdLength && Names.IsId(text);

    internal static bool IsIfName(string text) => text.Length is > 0 and <= MaxIfNameLength && Names.IsLink(text);

    private static CniCommand ParseCommand(string text) => text switch
    {
        "ADD" => CniCommand.Add,
        "DEL" => CniCommand.Del,
        "CHECK" => CniCommand.Check,
        "GC" => CniCommand.Gc,
        "STATUS" => CniCommand.Status,
        "VERSION" => CniCommand.Version,
        "" => throw Invalid("CNI_COMMAND is not set. A container runtime sets it; the plugin is not to be run by hand"),
        _ => throw Invalid($"CNI_COMMAND={text} is none of ADD, DEL, CHECK, GC, STATUS, VERSION"),
    };

    private static Dictionary<string, string> Variables(ReadOnlySpan<byte> environment)
    {
        var variables = new Dictionary<string, string>(StringComparer.Ordinal);
        while (!environment.IsEmpty)
        {
            var end = environment.IndexOf((byte)0);
            if (end < 0)
            {
                throw Invalid("the last CNI_* variable is cut off: it has no NUL at its end");
            }

            var equals = environment[..end].IndexOf((byte)'=');
            if (equals < 0)
            {
                throw Invalid("a CNI_* variable has no '='");
            }

            try
            {
                // The first one counts, as with getenv.
                variables.TryAdd(StrictUtf8.GetString(environment[..equals]), StrictUtf8.GetString(environment[(equals + 1)..end]));
            }
            catch (DecoderFallbackException)
            {
                throw Invalid("a CNI_* variable is not UTF-8");
            }

            environment = environment[(end + 1)..];
        }

        return variables;
    }

    private static string Required(Dictionary<string, string> variables, string name, CniCommand command) =>
        variables.GetValueOrDefault(name, "") is { Length: > 0 } value
            ? value
            : throw Invalid($"{name} is not set; {command.ToString().ToUpperInvariant()} needs it");

    private static void CheckContainerId(string id)
    {
        if (id.Length > MaxContainerIdLength)
        {
            throw Invalid($"CNI_CONTAINERID has {id.Length} characters, more than {MaxContainerIdLength}");
        }

        if (!Names.IsId(id))
        {
            throw Invalid($"CNI_CONTAINERID={id}: it must begin with a letter or digit and go on with letters, digits, '_', '.' and '-'");
        }
    }

    private static void CheckIfName(string name)
    {
        if (name.Length > MaxIfNameLength)
        {
            throw Invalid($"CNI_IFNAME={name} has {name.Length} characters; Linux allows {MaxIfNameLength}");
        }

        if (!Names.IsLink(name))
        {
            throw Invalid($"CNI_IFNAME={name} is no name of a link: printable ASCII without space, '/', ':' and '%', and not '.' or '..'");
        }
    }

    private static CniException Invalid(string message) => CniException.Of(CniErrorCode.InvalidEnvironment, message);
}
