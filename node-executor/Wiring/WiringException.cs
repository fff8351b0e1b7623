namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>A pod could not be wired, or unwired. The message says which step failed, for which object, and the kernel's words.</summary>
public sealed class WiringException : Exception
{
    internal WiringException(string message, bool isUndone, Exception? inner)
        : base(message, inner) => IsUndone = isUndone;

    /// <summary>Whether nothing of the attempt is left in the kernel. When false, the address must be held until
    /// <see cref="Wirer.Unwire"/> has succeeded.</summary>
    public bool IsUndone { get; }
}
