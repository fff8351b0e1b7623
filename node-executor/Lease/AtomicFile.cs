using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>Replaces whole files, so that a reader sees the old or the new one, never a part.</summary>
internal static partial class AtomicFile
{
    private const int O_RDONLY = 0;
    private const int O_CLOEXEC = 0x80000;

    /// <summary>When it returns, the new content survives a power cut.</summary>
    /// <exception cref="IOException">The disk is full, read-only or broken.</exception>
    internal static void Write(string path, ReadOnlySpan<byte> content, UnixFileMode mode)
    {
        var temporary = path + ".new"; // Always the same name: what a killed process left is overwritten.
        File.Delete(temporary);
        using (var file = new FileStream(temporary, new FileStreamOptions
        {
            Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = mode, BufferSize = 0,
        }))
        {
            file.Write(content);
            File.SetUnixFileMode(file.SafeFileHandle, mode); // The umask may have taken bits away.
            RandomAccess.FlushToDisk(file.SafeFileHandle);
        }

        File.Move(temporary, path, overwrite: true);
        FlushDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    /// <summary>A rename is on disk only once its directory is.</summary>
    private static void FlushDirectory(string path)
    {
        using var directory = Open(path, O_RDONLY | O_CLOEXEC);
        if (directory.IsInvalid || Sync(directory) != 0)
        {
            throw new IOException($"{path}: cannot be written to disk: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}.");
        }
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Sync(SafeFileHandle file);
}
