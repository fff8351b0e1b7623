using AwsVpcCni.NodeExecutor.Linux;

namespace AwsVpcCni.NodeExecutor.Netlink;

/// <summary>The kernel refused a message, or did not answer.</summary>
/// <param name="step">What was being done, to which object.</param>
/// <param name="errno">What the kernel said.</param>
/// <param name="kernelText">Its own sentence (extended ack), if it gave one.</param>
internal sealed class NetlinkException(string step, Errno errno, string? kernelText)
    : Exception($"{step}: {errno.Describe()}{(kernelText is null ? "" : $": {kernelText}")}")
{
    internal Errno Errno { get; } = errno;

    internal string Step { get; } = step;
}
