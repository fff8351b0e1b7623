using System.Runtime.InteropServices;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Linux;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>The rule inside a pod of an interface that is not its first. Routes and neighbour go with the link; a rule does not.</summary>
internal static class PodRules
{
    /// <summary>The only one of ours for its address: an older network's may be left, for another table.</summary>
    internal static void Replace(NetlinkSocket pod, Rule rule, Deadline until)
    {
        Remove(pod, rule.From!.Value.Base, until);
        var message = new MessageWriter(stackalloc byte[128]);
        rule.Add(ref message);
        pod.Execute(message.Written, [$"add rule {rule} in the pod"], until);
    }

    /// <summary>Nothing there, or no namespace any more, is as wanted: what a rule leads to is gone anyway.</summary>
    internal static void TryRemove(SafeHandle netns, Ip address, TimeSpan deadline)
    {
        try
        {
            using var pod = NetlinkSocket.OpenIn(netns);
            Remove(pod, address, Deadline.In(deadline));
        }
        catch (Exception e) when (e is NetlinkException or IOException or InvalidDataException or ObjectDisposedException)
        {
            // A rule for an address that the pod has no more.
        }
    }

    private static void Remove(NetlinkSocket pod, Ip address, Deadline until)
    {
        var message = new MessageWriter(stackalloc byte[128]);
        var rule = new Rule(PodRouting.FromAddressPriority, address, null, Rtnetlink.RT_TABLE_UNSPEC);
        rule.Delete(ref message);
        pod.Execute(message.Written, [$"delete rule {rule} in the pod"], until, Errno.ENOENT);
    }
}
