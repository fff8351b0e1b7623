using AwsVpcCni.CniProtocol;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>Carries out the DELs that found no executor: without that a sandbox whose namespace is kept by something would hold its address for ever.</summary>
/// <remarks>
/// The order. A runtime ends the DEL of a sandbox before it begins another ADD of it, and a plugin leaves its mark before it ends. So a mark that an ADD meets is
/// of a DEL before it: the ADD carries it out first, inside the sandbox's gate and before it asks for an address. A mark that is found by a look is of a
/// DEL after the last ADD that has been in the gate: an earlier one would have been taken away by that ADD. The look reads the folder outside the gates, so
/// inside it asks again whether the mark is still there. ADDs that wait at the gate meanwhile came after the mark: no tombstone is left for them.
/// A mark goes when the end of the claim is in the lease file; an executor that is killed before that carries it out again, which changes nothing then.
/// </remarks>
internal sealed partial class EndedSandboxes(EndedMarks marks, Lane lane, LeaseLink link, PodLinks links, SandboxGate gate, TimeProvider time, ILogger log)
{
    /// <summary>All that are marked. One that a request is working on is left to the next look.</summary>
    internal async Task CarryOutAllAsync()
    {
        var (began, count, ended) = (time.GetTimestamp(), 0, 0);
        foreach (var sandbox in marks.Read())
        {
            using var pass = gate.TryEnter(sandbox);
            if (pass is null || !marks.Has(sandbox))
            {
                continue;
            }

            var (hadAddress, isWritten) = await CarryOutAsync(sandbox);
            if (isWritten)
            {
                marks.Try(() => marks.Remove(sandbox));
            }

            (count, ended) = (count + 1, hadAddress ? ended + 1 : ended);
        }

        if (count > 0)
        {
            LogCarriedOut(count, ended, time.MillisecondsSince(began));
        }
    }

    /// <summary>What an ADD does first, inside the sandbox's gate.</summary>
    /// <exception cref="CniException">The mark stays, and would end the ADD's own claim.</exception>
    internal async Task BeforeAddAsync(SandboxKey sandbox)
    {
        if (!marks.Has(sandbox))
        {
            return;
        }

        if (!(await CarryOutAsync(sandbox)).IsWritten)
        {
            throw CniException.Of(CniErrorCode.TryAgainLater, $"{sandbox}: the end of its earlier DEL cannot be written into the lease file");
        }

        try
        {
            marks.Remove(sandbox);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CniException(new CniError(CniErrorCode.TryAgainLater, $"{sandbox}: the mark of an earlier DEL cannot be removed: {e.Message}"), e);
        }
    }

    private async Task<(bool HadAddress, bool IsWritten)> CarryOutAsync(SandboxKey sandbox)
    {
        var (pod, late) = await lane.RunAsync(() =>
        {
            var held = link.Lease.HeldBy(sandbox);
            return (held is null ? null : link.Lease.Slots[held.Address].Hold?.Pod, link.DeleteLate(sandbox));
        });
        if (late.Had is not { } had)
        {
            return (false, true);
        }

        if (late.IsEndedNow || late.IsWritten) // Else the removal of the look before goes on.
        {
            links.Remove(sandbox, had.Address);
        }

        LogEnded(pod, sandbox, had.Address, had.EniId);
        return (true, late.IsWritten);
    }

    [LoggerMessage(EventId = 3254, Level = LogLevel.Information, Message = "DEL {Pod} sandbox {Sandbox}, which had found no executor: had {Address} of {EniId}.")]
    private partial void LogEnded(PodName? pod, SandboxKey sandbox, Ip address, string eniId);

    [LoggerMessage(EventId = 3255, Level = LogLevel.Information, Message = "{Count} DELs that had found no executor are carried out; {Ended} had an address, in {Milliseconds} ms.")]
    private partial void LogCarriedOut(int count, int ended, double milliseconds);
}
