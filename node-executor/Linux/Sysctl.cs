namespace AwsVpcCni.NodeExecutor.Linux;

/// <summary>Writes the kernel's switches, in the network namespace of the calling thread.</summary>
internal static class Sysctl
{
    /// <summary>Where the switches are. A container's own /proc/sys is read-only: there it is the host's, mounted elsewhere.</summary>
    internal static string Folder { get; set; } = "/proc/sys";

    /// <summary>Sets one switch; does nothing when this kernel has none of the name (IPv6 may be compiled out).</summary>
    /// <returns>Whether it had another value before.</returns>
    /// <param name="path">Below /proc/sys, with slashes: an interface's name may hold a dot.</param>
    /// <exception cref="IOException">The kernel refuses; the message names the switch.</exception>
    internal static bool SetIfPresent(string path, string value)
    {
        var file = $"{Folder}/{path}";
        if (!File.Exists(file))
        {
            return false;
        }

        try
        {
            if (File.ReadAllText(file).Trim() == value)
            {
                return false;
            }

            using var handle = File.OpenHandle(file, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
            RandomAccess.Write(handle, System.Text.Encoding.ASCII.GetBytes(value), 0);
            return true;
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"{path} cannot be set to {value}: {refused.Message} The executor needs a writable {Folder}.", refused);
        }
    }
}
