using System.Text.RegularExpressions;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>A pod's pair of links, as a value: all of its wiring that needs no address.</summary>
public sealed partial record PodVeth
{
    private PodVeth(SandboxKey sandbox, PodName pod, int mtu, string prefix)
    {
        (Sandbox, Pod, Mtu) = (sandbox, pod, mtu);
        HostVeth = VethName.Of(sandbox, pod, prefix);
    }

    /// <summary>A pod's first interface is named so by every runtime of Kubernetes, and is looked at no further.</summary>
    public const string FirstIfName = "eth0";

    /// <summary>Whose it is. The pod's end has the interface name in it.</summary>
    public SandboxKey Sandbox { get; }

    /// <summary>What people call it.</summary>
    public PodName Pod { get; }

    /// <summary>Of both ends, in bytes.</summary>
    public int Mtu { get; }

    /// <summary>The host end's name.</summary>
    public string HostVeth { get; private init; }

    /// <summary>The same, of before the prefix was another one.</summary>
    internal PodVeth Named(string hostVeth) => this with { HostVeth = hostVeth };

    /// <summary>The pair of one sandbox.</summary>
    /// <param name="mtu">Bytes; 576 to 9001.</param>
    /// <param name="prefix">Of the host end's name; up to four characters.</param>
    /// <exception cref="ArgumentException">A name that the kernel, or the alias, cannot hold. The message is for the runtime's user.</exception>
    public static PodVeth Of(SandboxKey sandbox, PodName pod, int mtu, string prefix = VethName.DefaultPrefix)
    {
        if (!ContainerIdPattern().IsMatch(sandbox.ContainerId) || sandbox.ContainerId.Length > LinkAlias.MaxContainerIdLength)
        {
            throw new ArgumentException(
                $"Container id '{sandbox.ContainerId}' has {sandbox.ContainerId.Length} characters; up to {LinkAlias.MaxContainerIdLength} letters, digits, dots, dashes and underscores are possible.");
        }

        if (!InterfaceNamePattern().IsMatch(sandbox.IfName) || sandbox.IfName is "." or ".." or "lo")
        {
            throw new ArgumentException(
                $"Interface name '{sandbox.IfName}' has {sandbox.IfName.Length} characters; the kernel takes up to {Link.MaxNameLength}, without blank, slash and colon, and 'lo' is taken.");
        }

        return new PodVeth(sandbox, pod, mtu, prefix);
    }

    [GeneratedRegex("^[a-zA-Z0-9][a-zA-Z0-9_.-]*\\z")]
    private static partial Regex ContainerIdPattern();

    [GeneratedRegex("^[!-~-[/:]]{1,15}\\z")] // dev_valid_name and veth: printable, IFNAMSIZ - 1.
    private static partial Regex InterfaceNamePattern();
}
