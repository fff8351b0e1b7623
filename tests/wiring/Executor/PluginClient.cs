using System.Buffers.Binary;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using AwsVpcCni.CniProtocol;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>Asks an executor as the plugin does: one frame, with the namespace's descriptor at its first byte.</summary>
internal static partial class PluginClient
{
    public const string Config = """{"cniVersion":"1.0.0","name":"aws-cni","type":"aws-vpc-cni"}""";
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    public static Task<PluginAnswer> AddAsync(string socket, string container, string netns, string pod = "web-0", string config = Config) =>
        AskAsync(socket, Environment("ADD", container, netns, pod), config, netns);

    public static Task<PluginAnswer> DelAsync(string socket, string container, string? netns = null, string config = Config) =>
        AskAsync(socket, Environment("DEL", container, netns, ""), config, netns);

    public static async Task<PluginAnswer> AskAsync(string path, string environment, string config, string? netns)
    {
        using var socket = Send(path, environment, config, netns);
        return await AnswerAsync(socket).WaitAsync(Deadline);
    }

    /// <summary>The connection of a plugin that has asked; dispose it to kill the plugin.</summary>
    public static Socket Send(string path, string environment, string config, string? netns)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(path));
        var frame = Frame.WriteRequest(Encoding.UTF8.GetBytes(environment), Encoding.UTF8.GetBytes(config));
        using var descriptor = netns is null ? null : File.OpenHandle(netns);
        Send(socket, frame, descriptor);
        return socket;
    }

    public static string Environment(string command, string container, string? netns, string pod, string ifName = "eth0") =>
        string.Concat(new[]
        {
            $"CNI_COMMAND={command}", $"CNI_CONTAINERID={container}", $"CNI_NETNS={netns}", $"CNI_IFNAME={ifName}", "CNI_PATH=/opt/cni/bin",
            $"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod};K8S_POD_UID=uid",
        }.Select(variable => variable + '\0'));

    private static async Task<PluginAnswer> AnswerAsync(Socket socket)
    {
        using var stream = new NetworkStream(socket);
        using var all = new MemoryStream();
        await stream.CopyToAsync(all); // One request a connection: the executor closes.
        var reply = all.ToArray();
        var length = BinaryPrimitives.ReadInt32LittleEndian(reply);
        Xunit.Assert.Equal(reply.Length, Frame.ReplyHeaderSize + length);
        return new PluginAnswer(BinaryPrimitives.ReadInt32LittleEndian(reply.AsSpan(4)), Encoding.UTF8.GetString(reply.AsSpan(8)));
    }

    private static unsafe void Send(Socket socket, byte[] frame, SafeFileHandle? descriptor)
    {
        var sent = 0;
        fixed (byte* bytes = frame)
        {
            var control = stackalloc long[3] { 20, 1 | (1L << 32), descriptor is null ? 0 : (long)descriptor.DangerousGetHandle() };
            var part = stackalloc nint[2] { (nint)bytes, frame.Length };
            var message = stackalloc nint[7] { 0, 0, (nint)part, 1, descriptor is null ? 0 : (nint)control, descriptor is null ? 0 : 24, 0 };
            sent = (int)SendMsg(socket.SafeHandle, message, 0);
        }

        if (sent < frame.Length)
        {
            socket.Send(frame.AsSpan(sent)); // Not of nothing: by now it may have answered and closed.
        }
    }

    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    private static unsafe partial nint SendMsg(SafeHandle socket, nint* message, int flags);
}

/// <summary>What the runtime would see.</summary>
internal sealed record PluginAnswer(int ExitCode, string Output)
{
    public JsonElement Json => JsonDocument.Parse(Output).RootElement;

    /// <summary>Of a successful ADD.</summary>
    public string Address => ExitCode == 0 ? Json.GetProperty("ips")[0].GetProperty("address").GetString()!.Split('/')[0]
        : throw new InvalidOperationException($"no ADD that succeeded: {Output}");

    public int ErrorCode => Json.GetProperty("code").GetInt32();

    public string Message => Json.GetProperty("msg").GetString()!;
}
