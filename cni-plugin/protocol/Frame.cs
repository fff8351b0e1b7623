using System.Buffers.Binary;

namespace AwsVpcCni.CniProtocol;

/// <summary>
/// The bytes between the CNI plugin and the node executor: one request and one reply a connection, integers in little endian.
/// </summary>
/// <remarks>
/// Request: magic, length of the environment, length of stdin (each a u32); then the CNI_* variables as
/// <c>NAME=value</c> and a NUL each; then stdin as the runtime gave it. The descriptor of CNI_NETNS comes with the first
/// byte by SCM_RIGHTS, or does not come when it could not be opened. Reply: length of the body (u32), exit code (i32), the body for stdout.
/// The plugin itself uses the constants only: it runs without a managed runtime.
/// </remarks>
public static class Frame
{
    /// <summary>Where the executor listens when <see cref="SocketVariable"/> is not set.</summary>
    public const string DefaultSocketPath = "/run/aws-vpc-cni/executor.sock";

    /// <summary>Variable of the plugin's own environment that names another socket.</summary>
    public const string SocketVariable = "AWS_VPC_CNI_SOCKET";

    /// <summary>"AVC1" in memory order. The digit counts versions of this layout.</summary>
    public const uint Magic = 0x31435641;

    /// <summary>Bytes.</summary>
    public const int RequestHeaderSize = 12;
    /// <summary>Bytes.</summary>
    public const int ReplyHeaderSize = 8;

    /// <summary>Bytes. Two of Linux's single-string limit (MAX_ARG_STRLEN, 128 KiB): CNI_ARGS is the only long variable.</summary>
    public const int MaxEnvironmentSize = 256 * 1024;

    /// <summary>Bytes. A config with its prevResult has a few KiB.</summary>
    public const int MaxStdinSize = 1024 * 1024;

    /// <summary>Bytes.</summary>
    public const int MaxReplyBodySize = 1024 * 1024;

    /// <summary>Reads the two lengths, so that the caller knows how much more to read, and never has to read more than the limits.</summary>
    /// <param name="header">At least <see cref="RequestHeaderSize"/> bytes.</param>
    /// <exception cref="CniException">Not a request, or one beyond the limits.</exception>
    public static RequestSize ReadRequestHeader(ReadOnlySpan<byte> header)
    {
        if (header.Length < RequestHeaderSize)
        {
            throw CniException.Of(CniErrorCode.DecodingFailure, $"the request ends in its header, after {header.Length} of {RequestHeaderSize} bytes");
        }

        var magic = BinaryPrimitives.ReadUInt32LittleEndian(header);
        if (magic != Magic)
        {
            throw CniException.Of(
                CniErrorCode.DecodingFailure,
                $"the request begins with 0x{magic:x8}, not 0x{Magic:x8}: plugin and executor are of different versions; install both from one release");
        }

        var environment = BinaryPrimitives.ReadUInt32LittleEndian(header[4..]);
        var stdin = BinaryPrimitives.ReadUInt32LittleEndian(header[8..]);
        if (environment > MaxEnvironmentSize)
        {
            throw CniException.Of(CniErrorCode.InvalidEnvironment, $"the CNI_* variables have {environment} bytes, more than {MaxEnvironmentSize}");
        }

        return stdin > MaxStdinSize
            ? throw CniException.Of(CniErrorCode.DecodingFailure, $"the network configuration has {stdin} bytes, more than {MaxStdinSize}")
            : new RequestSize((int)environment, (int)stdin);
    }

    /// <summary>A whole request, as the plugin sends it; for tests and tools.</summary>
    /// <param name="environment">Variables as <c>NAME=value</c>, each ended by a NUL.</param>
    /// <param name="stdin">The network configuration.</param>
    public static byte[] WriteRequest(ReadOnlySpan<byte> environment, ReadOnlySpan<byte> stdin)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(environment.Length, MaxEnvironmentSize);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(stdin.Length, MaxStdinSize);
        var frame = new byte[RequestHeaderSize + environment.Length + stdin.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(frame, Magic);
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(4), environment.Length);
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(8), stdin.Length);
        environment.CopyTo(frame.AsSpan(RequestHeaderSize));
        stdin.CopyTo(frame.AsSpan(RequestHeaderSize + environment.Length));
        return frame;
    }

    /// <summary>A whole reply.</summary>
    /// <param name="exitCode">0 to 255: what the runtime sees as the plugin's exit code.</param>
    /// <param name="body">What the plugin prints; empty after a DEL.</param>
    public static byte[] WriteReply(int exitCode, ReadOnlySpan<byte> body)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(body.Length, MaxReplyBodySize);
        ArgumentOutOfRangeException.ThrowIfNegative(exitCode);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(exitCode, byte.MaxValue);
        var frame = new byte[ReplyHeaderSize + body.Length];
        BinaryPrimitives.WriteInt32LittleEndian(frame, body.Length);
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(4), exitCode);
        body.CopyTo(frame.AsSpan(ReplyHeaderSize));
        return frame;
    }
}

/// <summary>How many bytes follow a request's header.</summary>
/// <param name="Environment">Bytes of CNI_* variables, which come first.</param>
/// <param name="Stdin">Bytes of the config.</param>
public readonly record struct RequestSize(int Environment, int Stdin)
{
    /// <summary>Both.</summary>
    public int Total => Environment + Stdin;
}
