using System.Runtime.InteropServices;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>Pods in the kernel: the node's own, or a simulation's. What is there outlives the executor.</summary>
public interface IWirer
{
    /// <summary>Makes a pod's pair of links beside the question for an address.</summary>
    /// <returns>For <see cref="Wire"/> or <see cref="DiscardAsync"/>. Null when it cannot be made; then <see cref="Wire"/> says why, or finds a way.</returns>
    Task<IPodPair?> MakeAsync(PodVeth veth, SafeHandle netns, TimeSpan deadline);

    /// <summary>Removes a pair that no pod needs.</summary>
    /// <returns>Ends when the link is gone. Fails with <see cref="WiringException"/> when the kernel refuses: the link has no address; it goes
    /// with the pod's namespace or at the next start.</returns>
    Task DiscardAsync(IPodPair pair, TimeSpan deadline);

    /// <summary>Wires a pod. When it throws, what it did is undone, but for <see cref="WiringException.IsUndone"/> = false.</summary>
    /// <param name="made">Its pair, when that is there; it is used up, whatever comes.</param>
    /// <exception cref="WiringException">What failed, in the kernel's words.</exception>
    WiredPod Wire(PodWiring wiring, SafeHandle netns, TimeSpan deadline, IPodPair? made = null);

    /// <summary>Takes a sandbox's rules and route away at once, and its link soon. Nothing there is success.</summary>
    /// <returns>Ends when the link is gone: the address rests from then on. Fails with <see cref="WiringException"/> when it has not gone.</returns>
    /// <exception cref="WiringException">Rules and route are still there; the call may be repeated.</exception>
    Task Unwire(WiredSandbox wired, TimeSpan deadline);

    /// <summary>Every host veth of ours, half-wired ones too, and addresses of which only rules are left.</summary>
    /// <exception cref="WiringException">The kernel did not answer.</exception>
    IReadOnlyList<WiredSandbox> Read(TimeSpan deadline);

    /// <summary>Whether there is a link of this name, whoever's it is.</summary>
    /// <exception cref="WiringException">The kernel did not answer.</exception>
    bool HasLink(string name, TimeSpan deadline);
}

/// <summary>A pod's two links before it has an address, as the <see cref="IWirer"/> that has made them knows them.</summary>
public interface IPodPair : IDisposable;
