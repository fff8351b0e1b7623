using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>The node's interfaces in the kernel. One call at a time; any may be repeated.</summary>
public interface IHostInterfaces
{
    /// <summary>Makes the interface ready for pods, or sees that it still is.</summary>
    Task<InterfaceState> SetUpAsync(InterfaceOrder order);

    /// <summary>Takes away what was made for it, whether its link is still there or not.</summary>
    /// <returns>False when it could not; it is asked again.</returns>
    Task<bool> LetGoAsync(InterfaceOrder order);
}

/// <summary>How an interface is.</summary>
public enum InterfaceState
{
    /// <summary>Pods can use its addresses.</summary>
    Ready,

    /// <summary>The node does not have it: it is not attached yet, or not any more.</summary>
    Absent,

    /// <summary>The kernel has refused something, or did not answer: one that was ready counts as ready still.</summary>
    Unclear,
}
