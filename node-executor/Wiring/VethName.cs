using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>Names of the host ends, the same as amazon-vpc-cni-k8s gives: policy engines find a pod's link by them.</summary>
public static class VethName
{
    /// <summary>Before the hash, unless AWS_VPC_K8S_CNI_VETHPREFIX says otherwise.</summary>
    public const string DefaultPrefix = "eni";

    /// <summary>Of the digest, in hexadecimal.</summary>
    private const int Digits = 11;

    /// <summary>With it the name fills IFNAMSIZ but for its NUL.</summary>
    internal const int MaxPrefixLength = Link.MaxNameLength - Digits;

    private static readonly SearchValues<char> Hexadecimal = SearchValues.Create("0123456789abcdef");

    /// <summary>The name for interface <paramref name="index"/> of a pod.</summary>
    /// <param name="index">0 is the pod's first interface.</param>
    public static string Of(string podNamespace, string podName, int index = 0, string prefix = DefaultPrefix) =>
        prefix + Hashed(index == 0 ? $"{podNamespace}.{podName}" : $"{podNamespace}.{podName}.{index}");

    /// <summary>The name for a sandbox.</summary>
    /// <remarks>A runtime that tells no pod name, or runs us for a second interface of a pod, would get one name for
    /// several sandboxes; these are named by what tells them apart.</remarks>
    public static string Of(SandboxKey sandbox, PodName pod, string prefix = DefaultPrefix) =>
        pod.Name.Length == 0 ? prefix + Hashed($"{sandbox.ContainerId}.{sandbox.IfName}")
        : sandbox.IfName == "eth0" ? Of(pod.Namespace, pod.Name, prefix: prefix)
        : prefix + Hashed($"{pod.Namespace}.{pod.Name}.{sandbox.IfName}");

    /// <summary>Whether names can begin so, and be nobody else's.</summary>
    internal static bool IsPrefix(string text) =>
        text is { Length: > 0 and <= MaxPrefixLength } and not ("eth" or "lo" or "vlan") && text.All(char.IsAsciiLetterOrDigit);

    /// <summary>Whether a link's name can be one of these.</summary>
    internal static bool IsOurs(string name, string prefix) =>
        name.Length == prefix.Length + Digits && name.StartsWith(prefix, StringComparison.Ordinal) &&
        name.AsSpan(prefix.Length).IndexOfAnyExcept(Hexadecimal) < 0;

    /// <summary>Whether two names differ by their prefix only.</summary>
    internal static bool IsSame(string name, string other) => PrefixOf(name) is not null && PrefixOf(other) is not null && name[^Digits..] == other[^Digits..];

    /// <summary>What stands before the hash in the name of a link that we have made; null when somebody has renamed it.</summary>
    internal static string? PrefixOf(string name) => name.Length > Digits && IsOurs(name, name[..^Digits]) ? name[..^Digits] : null;

#pragma warning disable CA5350 // A name, not a secret: amazon-vpc-cni-k8s uses SHA-1.
    private static string Hashed(string text) =>
        Convert.ToHexStringLower(SHA1.HashData(Encoding.UTF8.GetBytes(text)))[..Digits];
#pragma warning restore CA5350
}
