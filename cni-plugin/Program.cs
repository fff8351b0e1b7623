using System.Runtime;
using System.Runtime.CompilerServices;
using AwsVpcCni.CniProtocol;
using static AwsVpcCni.CniPlugin.Libc;

[assembly: DisableRuntimeMarshalling]
[module: SkipLocalsInit]

namespace AwsVpcCni.CniPlugin;

/// <summary>
/// The program that a container runtime executes for each pod: it hands its CNI_* variables, its stdin and the pod's network
/// namespace to the node executor, and prints what comes back. It keeps no state, so it may be killed at any instruction.
/// </summary>
/// <remarks>
/// The managed runtime takes longer to start than the whole exchange, so it is never started: <see cref="Run"/> is C's main.
/// That allows pointers, integers, u8 literals and calls of <see cref="Libc"/>; no allocation, string, exception or static constructor.
/// </remarks>
internal static unsafe class Program
{
    private const int Stdout = 1, Stderr = 2;

    // The executor's own deadlines are 200 s and 20 s; kubelet gives up at 240 s. The rest goes to the way there and back.
    private const int AddSeconds = 210, OtherSeconds = 25;

    // An executor that is replaced must not make the node unready: for 15 s a STATUS looks for the next one. Both together are the others' 25 s. One that ends while it is asked may
    // be met again before the kernel has closed all that it had: so often the next one is asked.
    private const int StatusSeconds = 10, StatusPauses = 15_000 / Executor.PauseMilliseconds, StatusEnds = 5;

    private enum Command
    {
        Unknown,
        Add,
        Del,
        CheckOrGc,
        Status,
        Version,
    }

    /// <summary>C# wants an entry point. This one is never entered.</summary>
    private static void Main()
    {
    }

    [RuntimeExport("main")]
    internal static int Run(int argumentCount, byte** arguments, byte** environment)
    {
        _ = argumentCount;
        _ = arguments;
        byte* commandText = null, netns = null, socketPath = null, containerId = null, ifName = null;
        for (var variable = environment; *variable != null; variable++)
        {
            if (ValueOf(*variable, "AWS_VPC_CNI_SOCKET="u8) is var path && path != null && *path != 0)
            {
                socketPath = path;
            }

            if (!StartsWith(*variable, "CNI_"u8))
            {
                continue;
            }

            if (!Executor.AddVariable(*variable, Length(*variable)))
            {
                return Output.Error("4"u8, "the CNI_* variables are too many (128) or too long (256 KiB in all)"u8);
            }

            commandText = commandText != null ? commandText : ValueOf(*variable, "CNI_COMMAND="u8);
            netns = netns != null ? netns : ValueOf(*variable, "CNI_NETNS="u8);
            containerId = containerId != null ? containerId : ValueOf(*variable, "CNI_CONTAINERID="u8);
            ifName = ifName != null ? ifName : ValueOf(*variable, "CNI_IFNAME="u8);
        }

        if (commandText == null || *commandText == 0)
        {
            Output.Put(Stderr, "aws-vpc-cni 0.1.0, a CNI plugin for specifications 0.3.1, 0.4.0, 1.0.0 and 1.1.0\n"u8);
            return Output.Error("4"u8, "CNI_COMMAND is not set. A container runtime sets it; the plugin is not to be run by hand"u8);
        }

        return Parse(commandText) switch
        {
            Command.Unknown => Output.Error("4"u8, "CNI_COMMAND is none of ADD, DEL, CHECK, GC, STATUS, VERSION"u8),
            Command.Version => Output.Put(Stdout, """{"cniVersion":"1.1.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]}"""u8),
            var command => PassOn(command, netns, socketPath, containerId, ifName),
        };
    }

    private static int PassOn(Command command, byte* netns, byte* socketPath, byte* containerId, byte* ifName)
    {
        if (socketPath == null)
        {
            fixed (byte* path = "/run/aws-vpc-cni/executor.sock\0"u8)
            {
                socketPath = path; // Read-only data of the program: it does not move.
            }
        }

        var stdinLength = ReadStdin();
        if (command is Command.Del && (stdinLength is < 0 or > Frame.MaxStdinSize))
        {
            stdinLength = 0; // It needs none, and an error would only keep the runtime from removing the sandbox.
        }

        if (stdinLength < 0)
        {
            return Output.Error("5"u8, "the network configuration on stdin cannot be read"u8);
        }

        if (stdinLength > Frame.MaxStdinSize)
        {
            return Output.Error("6"u8, "the network configuration on stdin is larger than 1 MiB"u8);
        }

        var patience = command is Command.Add ? AddSeconds : command is Command.Status ? StatusSeconds : OtherSeconds;
        for (var ends = 0; ; ends++)
        {
            if (Executor.Connect(socketPath, Length(socketPath), patience, command is Command.Status ? StatusPauses : 0)
                && Executor.Send(netns, stdinLength)
                && Executor.Receive(out var exitCode, out var body, out var bodyLength))
            {
                return Output.Put(Stdout, body, bodyLength) == 0 ? exitCode : 1;
            }

            if (command is not Command.Status || !Executor.HasEnded || ends == StatusEnds)
            {
                break;
            }

            Executor.Pause();
        }

        if (command is Command.Del)
        {
            // What a DEL would take away goes with the pod's namespace. Where something keeps that, the executor finds the mark.
            // An error would only keep the runtime from removing the sandbox.
            EndedMark.Leave(socketPath, containerId, ifName, stdinLength);
            return 0;
        }

        return command switch
        {
            Command.Status => Output.NoExecutor("50"u8, socketPath),
            _ => Output.NoExecutor("11"u8, socketPath),
        };
    }

    /// <returns>Bytes; one more than the limit when there are more; -1 when it cannot be read.</returns>
    private static int ReadStdin()
    {
        var length = 0;
        while (length <= Frame.MaxStdinSize)
        {
            var got = read(0, Executor.Stdin + length, Frame.MaxStdinSize + 1 - length);
            if (got == 0)
            {
                return length;
            }

            if (got > 0)
            {
                length += (int)got;
            }
            else if (Errno != EINTR)
            {
                return -1;
            }
        }

        return length;
    }

    private static Command Parse(byte* text) =>
        Is(text, "ADD\0"u8) ? Command.Add
        : Is(text, "DEL\0"u8) ? Command.Del
        : Is(text, "VERSION\0"u8) ? Command.Version
        : Is(text, "CHECK\0"u8) || Is(text, "GC\0"u8) ? Command.CheckOrGc
        : Is(text, "STATUS\0"u8) ? Command.Status
        : Command.Unknown;

    /// <param name="whole">With its NUL: then the beginning is all.</param>
    private static bool Is(byte* text, ReadOnlySpan<byte> whole) => StartsWith(text, whole);

    /// <summary>Stops at the first difference, so never reads past the text's NUL.</summary>
    private static bool StartsWith(byte* text, ReadOnlySpan<byte> beginning)
    {
        fixed (byte* expected = beginning)
        {
            for (var i = 0; i < beginning.Length; i++)
            {
                if (text[i] != expected[i])
                {
                    return false;
                }
            }
        }

        return true;
    }

    private static byte* ValueOf(byte* variable, ReadOnlySpan<byte> nameAndEquals) =>
        StartsWith(variable, nameAndEquals) ? variable + nameAndEquals.Length : null;

    private static int Length(byte* text)
    {
        var length = 0;
        while (text[length] != 0)
        {
            length++;
        }

        return length;
    }
}
