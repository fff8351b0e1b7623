using System.Net;
using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Text;

namespace AwsVpcCni.VpcEmulator.Fabric;

/// <summary>Does things inside a named network namespace without moving this process there.</summary>
/// <remarks>A namespace belongs to a thread, so the work gets a thread of its own, which ends with it and is never pooled.
/// What is opened inside (a socket, a child process) stays inside and may be used from anywhere.</remarks>
public static partial class NetworkNamespace
{
    private const int CLONE_NEWNET = 0x40000000; // linux/sched.h
    private const int SOL_SOCKET = 1; // asm-generic/socket.h
    private const int SO_BINDTODEVICE = 25;

    /// <summary>Where `ip netns add <paramref name="name"/>` pins the namespace; what `nsenter --net=` takes.</summary>
    public static string PathOf(string name) => $"/run/netns/{name}";

    /// <summary>Runs <paramref name="work"/> inside the namespace and blocks until it is done, so keep it short.</summary>
    /// <exception cref="IOException">There is no namespace at <paramref name="path"/>, or it cannot be entered (root may).</exception>
    public static T Run<T>(string path, Func<T> work)
    {
        ArgumentNullException.ThrowIfNull(work);
        T result = default!;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                Enter(path);
                result = work();
            }
            catch (Exception e) // Thrown again on the caller's thread; unhandled here it would end the process.
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        })
        { IsBackground = true, Name = $"inside {path}" };
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result;
    }

    /// <summary>Opens a listening TCP socket inside the namespace; with <paramref name="device"/> it accepts only what arrives there.</summary>
    /// <remarks>For Kestrel: <c>options.ListenHandle((ulong)socket.Handle)</c>. Kestrel does not own the handle, so the caller
    /// disposes the socket after the server has stopped.</remarks>
    public static Socket Listen(string path, IPEndPoint endpoint, string? device = null)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        return Run(path, () =>
        {
            var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                if (device is not null)
                {
                    socket.SetRawSocketOption(SOL_SOCKET, SO_BINDTODEVICE, Encoding.ASCII.GetBytes(device));
                }

                socket.Bind(endpoint);
                socket.Listen(512);
                return socket;
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        });
    }

    private static void Enter(string path)
    {
        using var file = File.OpenHandle(path);
        if (SetNs(file, CLONE_NEWNET) != 0)
        {
            throw new IOException($"{path}: cannot enter this network namespace: {Marshal.GetLastPInvokeErrorMessage()}. It takes root.");
        }
    }

    [LibraryImport("libc", EntryPoint = "setns", SetLastError = true)]
    private static partial int SetNs(SafeHandle descriptor, int kind);
}
