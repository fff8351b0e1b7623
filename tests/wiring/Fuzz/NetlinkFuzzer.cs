using System.Diagnostics;
using AwsVpcCni.NodeExecutor.Linux;
using AwsVpcCni.NodeExecutor.Netlink;
using static AwsVpcCni.NodeExecutor.Netlink.Rtnetlink;

namespace AwsVpcCni.Tests.Wiring.Fuzz;

/// <summary>The kernel's answers to each question that the executor asks by rtnetlink: cut off, doubled, mixed with answers to others, interrupted, without an end.</summary>
/// <remarks>Checked: objects, the kernel's refusal, or one of the two defined exceptions come out, within the deadline; what is valid is read as it
/// was meant, also when others' messages stand in it and when a listing was interrupted; the next question on the same socket is answered right.</remarks>
internal sealed class NetlinkFuzzer : Fuzzer
{
    private const int ESHUTDOWN = 108; // The kernel never says it here: it ends an answer that has lost its own end.
    private const int Attempts = 8; // Of a listing that is interrupted; one datagram each, and the kernel lets eleven wait.
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(10);

    public override Task TryAsync(Random random)
    {
        var isStranger = random.Chance(0.003);
        using var kernel = new FakeKernel(isStranger ? (uint)random.Next(1, 99_999) : 0);
        var question = random.One(KernelQuestion.All);
        if (isStranger || random.Chance(0.01))
        {
            Endless(random, kernel, question);
            return Task.CompletedTask;
        }

        if (random.Chance(0.75))
        {
            Broken(random, kernel, question);
        }

        Valid(random, kernel, random.One(KernelQuestion.All), kernel.Heard(left: 2) + 1);
        return Task.CompletedTask;
    }

    /// <summary>Somebody else answers, or no end comes: the deadline ends it.</summary>
    private void Endless(Random random, FakeKernel kernel, KernelQuestion question)
    {
        var answer = new KernelAnswer();
        answer.Add(random, question.Items(random).Select(item => (item.Type, item.Body)), 1, question.IsListing);
        Say(kernel, answer.Bytes(), $"{question.Name}, without an end");
        var (began, deadline) = (Stopwatch.GetTimestamp(), TimeSpan.FromMilliseconds(random.Next(1, 20)));
        var refusal = Asked(kernel, question, deadline).Refusal as NetlinkException;
        Check(refusal is { Errno: Errno.ETIMEDOUT }, $"{refusal?.Message ?? "an answer"} came, where none ends");
        Check(Stopwatch.GetElapsedTime(began) < Long, $"a deadline of {deadline.TotalMilliseconds} ms was kept after {Stopwatch.GetElapsedTime(began)}");
    }

    private void Broken(Random random, FakeKernel kernel, KernelQuestion question)
    {
        var answer = new KernelAnswer();
        answer.Add(random, question.Items(random).Select(item => (item.Type, item.Body)), 1, question.IsListing);
        End(random, answer, question, 1);
        answer.Break(random, 1);
        var datagrams = answer.Bytes().ToArray();
        if (datagrams.Length > 0 && random.Chance(0.2))
        {
            var at = random.Next(datagrams.Length);
            datagrams[at] = random.Chance(0.05) ? [.. datagrams[at], .. new byte[random.One([32_768, 40_000])]] : Oddities.Damaged(random, datagrams[at]);
        }

        Say(kernel, datagrams, $"{question.Name}, broken");
        for (var attempt = 0u; attempt < Attempts; attempt++)
        {
            kernel.Say(KernelAnswer.Error(1 + attempt, ESHUTDOWN).Bytes());
        }

        Asked(kernel, question, Long);
    }

    private void Valid(Random random, FakeKernel kernel, KernelQuestion question, uint sequence)
    {
        var answer = new KernelAnswer();
        if (question.IsListing && random.Chance(0.2))
        {
            answer.Add(random, question.Items(random).Select(item => (item.Type, item.Body)), sequence, true);
            answer.Add(random, KernelAnswer.Done(sequence));
            answer.Datagrams[0][0] = answer.Datagrams[0][0] with { Flags = (ushort)(answer.Datagrams[0][0].Flags | NLM_F_DUMP_INTR) };
            Say(kernel, answer.Bytes(), $"{question.Name}, interrupted");
            (sequence, answer) = (sequence + 1, new KernelAnswer());
        }

        var (items, errno) = (question.Items(random), random.Chance(0.1) ? random.One([1, 16, 22, 105]) : 0);
        if (errno == 0 || question.IsListing)
        {
            answer.Add(random, items.Select(item => (item.Type, item.Body)), sequence, question.IsListing);
        }

        if (errno == 0)
        {
            End(random, answer, question, sequence);
        }
        else
        {
            for (var step = 0u; step < question.Steps; step++)
            {
                answer.Add(random, KernelAnswer.Error(sequence + step, errno, "not today"));
            }
        }

        if (random.Chance(0.4))
        {
            answer.AddForeign(random, sequence);
        }

        Say(kernel, answer.Bytes(), $"{question.Name}, valid, errno {errno}");
        var (found, refusal) = Asked(kernel, question, Long);
        if (errno != 0)
        {
            Check(refusal is NetlinkException told && (int)told.Errno == errno && told.Message.Contains("not today", StringComparison.Ordinal) || (found is [] && question.Passes(errno)), $"the kernel's error {errno} became {refusal?.ToString() ?? "an answer"}");
            return;
        }

        var meant = items.Select(item => item.Value).OfType<object>().Take(question.IsListing ? int.MaxValue : 1).ToList();
        Check(refusal is null && found.SequenceEqual(meant), $"{string.Join(", ", meant)} became {refusal?.ToString() ?? string.Join(", ", found)}");
    }

    private static void End(Random random, KernelAnswer answer, KernelQuestion question, uint sequence)
    {
        for (var step = 0u; step < question.Steps; step++)
        {
            answer.Add(random, question.IsListing ? KernelAnswer.Done(sequence) : KernelAnswer.Error(sequence + step, 0));
        }
    }

    private void Say(FakeKernel kernel, IEnumerable<byte[]> datagrams, string what)
    {
        Input = what;
        foreach (var datagram in datagrams)
        {
            Input += "\n" + Convert.ToHexString(datagram.AsSpan(0, Math.Min(datagram.Length, 4_000)));
            kernel.Say(datagram);
        }
    }

    private static (IReadOnlyList<object> Found, Exception? Refusal) Asked(FakeKernel kernel, KernelQuestion question, TimeSpan deadline)
    {
        try
        {
            return (question.Ask(kernel.Socket, Deadline.In(deadline)), null);
        }
        catch (Exception e) when (e is NetlinkException or InvalidDataException)
        {
            Check(deadline != Long || e is not NetlinkException { Errno: Errno.ETIMEDOUT }, "an answer that has an end was waited for until the deadline");
            return ([], e);
        }
    }
}
