using System.Net;

namespace AwsVpcCni.VpcEmulator.Model;

/// <summary>Something that an instance, or a wire, would notice. Closed: nobody outside can add a case.</summary>
public abstract record VpcEvent
{
    private VpcEvent() { }

    public sealed record InstanceLaunched(Instance Instance) : VpcEvent;

    /// <summary>Its interfaces have been detached before.</summary>
    public sealed record InstanceTerminated(Instance Instance) : VpcEvent;

    /// <summary>The attachment has become `attached`: the instance sees the interface.</summary>
    /// <param name="Addresses">What it holds now, the primary address first, the addresses of its prefixes last.</param>
    public sealed record InterfaceAttached(Eni Eni, Attachment Attachment, IReadOnlyList<IPAddress> Addresses) : VpcEvent;

    public sealed record InterfaceDetached(Eni Eni, Attachment Attachment) : VpcEvent;

    /// <param name="Addresses">What it holds now, the primary address first, the addresses of its prefixes last.</param>
    public sealed record AddressesChanged(Eni Eni, IReadOnlyList<IPAddress> Addresses) : VpcEvent;
}
