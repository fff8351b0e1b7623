using System.Globalization;
using System.Text;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>What a host veth says about its owner: the kernel is the journal of what is wired.</summary>
/// <param name="Sandbox">The owner.</param>
/// <param name="Address">The pod's address.</param>
/// <param name="Since">When it was wired, UTC, whole milliseconds.</param>
/// <param name="Pod">namespace/name for people; cut short when it did not fit.</param>
public sealed record LinkAlias(SandboxKey Sandbox, Ip Address, DateTimeOffset Since, string Pod)
{
    /// <summary>Goes up when fields change their meaning; an executor leaves links of other versions alone.</summary>
    private const string Version = "aws-vpc-cni/1";

    /// <summary>Reads an alias; false when it is none of ours.</summary>
    public static bool TryParse(string text, out LinkAlias alias)
    {
        alias = null!;
        var parts = text.Split(' ', 6);
        if (parts.Length != 6 || parts[0] != Version || parts[1].Length == 0 || parts[2].Length == 0 || !Ip.TryParse(parts[3], out var address) ||
            !long.TryParse(parts[4], NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds) ||
            milliseconds > DateTimeOffset.MaxValue.ToUnixTimeMilliseconds())
        {
            return false;
        }

        alias = new LinkAlias(new SandboxKey(parts[1], parts[2]), address, DateTimeOffset.FromUnixTimeMilliseconds(milliseconds), parts[5]);
        return true;
    }

    /// <summary>The text for the kernel: at most 255 bytes, the pod's name last and cut between characters.</summary>
    public override string ToString()
    {
        var text = string.Create(CultureInfo.InvariantCulture,
            $"{Version} {Sandbox.ContainerId} {Sandbox.IfName} {Address} {Since.ToUnixTimeMilliseconds()} {Pod}");
        Span<byte> bytes = stackalloc byte[Link.MaxAliasLength];
        Encoder encoder = Encoding.UTF8.GetEncoder();
        encoder.Convert(text, bytes, flush: false, out var characters, out _, out _);
        return text[..characters];
    }
}
