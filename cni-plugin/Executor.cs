using AwsVpcCni.CniProtocol;
using static AwsVpcCni.CniPlugin.Libc;

namespace AwsVpcCni.CniPlugin;

/// <summary>One exchange with the node executor. Methods answer "did it work", and leave the reason of a failure in <see cref="Failed"/>.</summary>
internal static unsafe class Executor
{
    /// <summary>Variables that a request can hold: the specification has 8 of them. IOV_MAX would be 1024.</summary>
    public const int MaxVariables = 128;

    /// <summary>Between two looks for an executor that is not there.</summary>
    public const int PauseMilliseconds = 200;

    /// <summary>What was being done when it failed, and errno then; 0: the executor closed the connection, or its reply was no reply.</summary>
    public static Step Failed;
    public static int FailedErrno;

    private static Memory memory;
    private static MessageHeader message;
    private static DescriptorMessage rights;
    private static UnixAddress address;
    private static int socket;
    private static bool isUnderWay;
    private static int variables;
    private static int environmentLength;

    /// <summary>The steps of an exchange, in their order.</summary>
    public enum Step
    {
        Connecting,
        Sending,
        Receiving,
    }

    public static byte* Stdin
    {
        get
        {
            fixed (byte* start = memory.Stdin)
            {
                return start; // Static memory: it does not move.
            }
        }
    }

    /// <summary>Takes a variable into the request, as it lies in the process's environment: nothing is copied.</summary>
    /// <returns>False when the request has no room for it.</returns>
    public static bool AddVariable(byte* text, int length)
    {
        environmentLength += length + 1; // With its NUL, which divides it from the next one.
        if (variables == MaxVariables || environmentLength > Frame.MaxEnvironmentSize)
        {
            return false;
        }

        SetPart(1 + variables++, text, length + 1);
        return true;
    }

    /// <param name="path">NUL-terminated.</param>
    /// <param name="seconds">Bound of each wait: for room in the executor's queue, and for its answer.</param>
    /// <param name="pauses">After which it is tried again where nobody listens.</param>
    public static bool Connect(byte* path, int length, int seconds, int pauses)
    {
        Failed = Step.Connecting;
        fixed (UnixAddress* to = &address)
        {
            if (length >= UnixAddress.PathSize)
            {
                FailedErrno = ENAMETOOLONG;
                return false;
            }

            to->Family = AF_UNIX;
            for (var i = 0; i < length; i++)
            {
                to->Path[i] = path[i];
            }

            socket = Libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
            var patience = new TimeValue { Seconds = seconds };
            if (socket < 0
                || setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, (uint)sizeof(TimeValue)) != 0
                || setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, (uint)sizeof(TimeValue)) != 0)
            {
                FailedErrno = Errno;
                return false;
            }

            while (connect(socket, to, (uint)sizeof(UnixAddress)) != 0)
            {
                if (Errno == EINTR)
                {
                    continue;
                }

                FailedErrno = Errno;
                if (FailedErrno is not (ENOENT or ECONNREFUSED) || pauses-- == 0)
                {
                    return false;
                }

                Pause();
            }

            return true;
        }
    }

    /// <summary>A signal may shorten it: their number is the bound.</summary>
    public static void Pause()
    {
        var pause = new TimeSpec { Nanoseconds = PauseMilliseconds * 1_000_000L };
        _ = nanosleep(&pause, null);
    }

    /// <summary>It was there, and ended before it had answered anything: the request is as it was, and can be sent again.</summary>
    public static bool HasEnded => Failed is Step.Sending or Step.Receiving && FailedErrno is 0 or ECONNRESET or EPIPE && !isUnderWay;

    /// <param name="netns">Path of the pod's network namespace, NUL-terminated, or null. One that cannot be opened is not sent: a DEL must go on, and an ADD is refused by the executor, which sees its path.</param>
    public static bool Send(byte* netns, int stdinLength)
    {
        Failed = Step.Sending;
        fixed (MessageHeader* m = &message)
        fixed (DescriptorMessage* control = &rights)
        fixed (uint* header = memory.Header)
        fixed (Part* parts = &memory.FirstPart)
        {
            header[0] = Frame.Magic;
            header[1] = (uint)environmentLength;
            header[2] = (uint)stdinLength;
            SetPart(0, (byte*)header, Frame.RequestHeaderSize);
            SetPart(1 + variables, Stdin, stdinLength);
            m->Parts = parts;
            m->PartCount = 2 + variables;

            var descriptor = netns == null || *netns == 0 ? -1 : open(netns, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
            if (descriptor >= 0)
            {
                *control = new DescriptorMessage { Length = DescriptorMessage.LengthWithoutPadding, Level = SOL_SOCKET, Type = SCM_RIGHTS, Descriptor = descriptor };
                m->Control = control;
                m->ControlLength = sizeof(DescriptorMessage);
            }

            while (m->PartCount > 0)
            {
                var sent = sendmsg(socket, m, MSG_NOSIGNAL);
                if (sent < 0)
                {
                    if (Errno == EINTR)
                    {
                        continue;
                    }

                    FailedErrno = Errno;
                    return false;
                }

                m->Control = null; // The descriptor has gone with the first byte.
                m->ControlLength = 0;
                Skip(m, sent);
                isUnderWay |= m->PartCount > 0;
            }

            return true;
        }
    }

    /// <summary>Reads the whole reply before anything of it is printed: half a result is worse than an error.</summary>
    public static bool Receive(out int exitCode, out byte* body, out int bodyLength)
    {
        Failed = Step.Receiving;
        fixed (int* header = memory.ReplyHeader)
        {
            // The request has gone: its stdin's memory is free for the reply.
            body = Stdin;
            bodyLength = 0;
            exitCode = 1;
            if (!ReadExactly((byte*)header, Frame.ReplyHeaderSize))
            {
                return false;
            }

            if ((uint)header[0] > Frame.MaxReplyBodySize)
            {
                FailedErrno = 0;
                return false;
            }

            bodyLength = header[0];
            exitCode = (uint)header[1] <= byte.MaxValue ? header[1] : 1; // 256 must not become 0.
            return ReadExactly(body, bodyLength);
        }
    }

    private static bool ReadExactly(byte* to, int count)
    {
        while (count > 0)
        {
            var got = read(socket, to, count);
            if (got <= 0)
            {
                FailedErrno = got == 0 ? 0 : Errno;
                if (FailedErrno == EINTR)
                {
                    continue;
                }

                return false;
            }

            isUnderWay = true;
            to += got;
            count -= (int)got;
        }

        return true;
    }

    private static void SetPart(int index, byte* start, int length)
    {
        fixed (Part* parts = &memory.FirstPart)
        {
            parts[index].Start = start;
            parts[index].Length = length;
        }
    }

    private static void Skip(MessageHeader* m, nint sent)
    {
        while (m->PartCount > 0 && sent >= m->Parts->Length)
        {
            sent -= m->Parts->Length;
            m->Parts++;
            m->PartCount--;
        }

        if (m->PartCount > 0)
        {
            m->Parts->Start += sent;
            m->Parts->Length -= sent;
        }
    }

    /// <summary>All the memory of an exchange, in .bss: it costs nothing until it is touched.</summary>
    private struct Memory
    {
        public Part FirstPart;
        public fixed long OtherParts[2 * (MaxVariables + 1)];
        public fixed uint Header[Frame.RequestHeaderSize / sizeof(uint)];
        public fixed int ReplyHeader[Frame.ReplyHeaderSize / sizeof(int)];
        public fixed byte Stdin[Frame.MaxStdinSize + 1]; // One more than the limit, to see that there is more.
    }
}
