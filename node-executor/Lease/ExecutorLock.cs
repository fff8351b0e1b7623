using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>Admits one executor to a state directory. The kernel lets go of it when the process ends, however it ends.</summary>
internal sealed partial class ExecutorLock : IDisposable
{
    private const int LOCK_EX = 2;
    private const int LOCK_NB = 4;
    private const int O_RDWR = 2;
    private const int O_CREAT = 0x40;
    private const int O_CLOEXEC = 0x80000;

    private readonly FileStream file;

    private ExecutorLock(FileStream file) => this.file = file;

    /// <exception cref="ExecutorStoppedException">Another executor has it.</exception>
    internal static ExecutorLock Take(string directory, int processId)
    {
        var path = Path.Combine(directory, "executor.lock");
        var handle = Open(path, O_RDWR | O_CREAT | O_CLOEXEC, Convert.ToInt32("600", 8)); // FileStream's own open would lock in its way.
        if (handle.IsInvalid)
        {
            throw new IOException($"{path}: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}.");
        }

        var file = new FileStream(handle, FileAccess.ReadWrite);
        if (Flock(file.SafeFileHandle, LOCK_EX | LOCK_NB) != 0)
        {
            using (file)
            {
                var owner = new StreamReader(file).ReadToEnd().Trim();
                throw new ExecutorStoppedException(
                    $"Another node-executor (pid {(owner.Length == 0 ? "unknown" : owner)}) has {path} locked. One executor serves a node: stop that one first.");
            }
        }

        file.SetLength(0);
        file.Write(Encoding.ASCII.GetBytes(processId.ToString(CultureInfo.InvariantCulture)));
        file.Flush();
        return new ExecutorLock(file);
    }

    public void Dispose() => file.Dispose();

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int Flock(SafeFileHandle file, int operation);
}

/// <summary>The executor cannot serve as it is set up. The message says what to change.</summary>
public sealed class ExecutorStoppedException(string message, Exception? inner = null) : Exception(message, inner);
