using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>One round of an ADD: ask the grain, claim what it offers, or spend the lease when nobody answers.</summary>
public sealed partial class LeaseLink
{
    private async Task<Answer> AskAsync(Adding add, CancellationToken cancellation)
    {
        if (Lease.Incarnation == 0)
        {
            return NotYet(ReasonCode.NodeStarting, "This node has no lease yet, and no silo has answered its first sync. "
                + (lastFailure ?? "Check that a silo runs, and the setting Silos."));
        }

        for (var offer = 1; offer <= options.OffersARound; offer++)
        {
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            var call = CallAsync(add, ended.Token);
            await time.ForAsync(call, options.AnswerBeforeLeaseIsSpent, cancellation);
            if (!call.IsCompleted && Spend(add) is { } spent and not Answer.NotYet)
            {
                ended.Cancel(); // Whatever it would answer: its number is settled with this claim.
                return spent;
            }

            switch (await call)
            {
                case null:
                    return Spend(add);
                case AssignReply.NotYet { Why.Code: ReasonCode.StoreAway } away:
                    return Spend(add) is var own and not Answer.NotYet ? own : NotYet(ReasonCode.StoreAway, $"{away.Why.Text} {LeaseText()}");
                case AssignReply.NotYet { Why.Code: ReasonCode.AnotherActivation } when offer == 1:
                    break; // The activation that wins answers at once.
                case AssignReply.NotYet(var why):
                    return new Answer.NotYet(why);
                case AssignReply.Never(var why):
                    return new Answer.Never(why);
                case AssignReply.Offered(var address, _):
                    if (await AcceptAsync(add, address, cancellation) is { } accepted)
                    {
                        return accepted;
                    }

                    break;
            }
        }

        return NotYet(ReasonCode.AnotherActivation, $"The node's grain has offered {options.OffersARound} addresses that this node cannot use now.");
    }

    /// <returns>Null when no silo has answered.</returns>
    private async Task<AssignReply?> CallAsync(Adding add, CancellationToken cancellation)
    {
        var refused = add.Offered.Order().Select(address => Lease.Objection(address, Now)).OfType<Refusal>().ToImmutableArray();
        var request = new AssignRequest(new Stamp(Lease.Incarnation, add.Number), add.Sandbox, add.Pod, refused);
        using var deadline = new CancellationTokenSource(options.CallDeadline, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, deadline.Token);
        try
        {
            var reply = await api.AssignAsync(request, either.Token);
            answeredAt = Now;
            return reply;
        }
        catch (NodeApiException e)
        {
            Failed(e.Message);
            return null;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            Failed($"No silo has answered within {options.CallDeadline.TotalSeconds:0} s.");
            return null;
        }
    }

    /// <returns>Null when the offer is refused, and the grain is to be asked for another.</returns>
    private async Task<Answer?> AcceptAsync(Adding add, Ip address, CancellationToken cancellation)
    {
        if (Lease.Objection(address, Now) is { Why: RefusalCode.NotLeased or RefusalCode.InterfaceNotSetUp })
        {
            // The grain's document is ahead of the lease: the next orders bring it.
            var done = reported.Next;
            reportWanted.Fire();
            await time.ForAsync(done, options.CallDeadline, cancellation);
        }

        var (next, result) = Lease.TryClaim(add.Sandbox, add.Number, address, Now);
        if (result is ClaimResult.Refused refused)
        {
            LogRefused(add.Sandbox, address, refused.Refusal.Why);
            add.Offered.Add(address);
            return null;
        }

        return Commit(next, result);
    }

    private Answer Spend(Adding add)
    {
        var (next, result) = Lease.ClaimBest(add.Sandbox, add.Number, Now);
        var answer = Commit(next, result);
        if (answer is Answer.Claimed(var grant))
        {
            LogSpent(add.Sandbox, grant.Address);
            reportWanted.Fire(); // No silo knows of it.
        }

        return answer;
    }

    /// <summary>The claim is in the file before the lease has it, so before the first netlink message.</summary>
    private Answer Commit(NodeLease next, ClaimResult result)
    {
        if (result is ClaimResult.Claimed(var grant))
        {
            store.Append(new LeaseEntry.Claimed(grant.Address, next.Slots[grant.Address].Hold!), next);
            (Lease, isUnwritten) = (next, false);
            return new Answer.Claimed(grant);
        }

        return result is ClaimResult.Outrun ? new Answer.Outrun()
            : NotYet(ReasonCode.SiloAway, $"No silo serves this node now, and its lease has no address for the pod. {LeaseText()} {lastFailure ?? "Check that a silo runs, and the setting Silos."}");
    }

    /// <summary>What the lease could still give, in figures.</summary>
    private string LeaseText()
    {
        var leased = Lease.Slots.Where(slot => slot.Value.Leased).ToList();
        var free = leased.Where(slot => slot.Value.Hold is null).ToList();
        var resting = free.Select(slot => Lease.RestsFor(slot.Value, Now)).Where(left => left > TimeSpan.Zero).ToList();
        var notSetUp = free.Count(slot => !Lease.InterfacesSetUp.Contains(slot.Value.EniId));
        return $"Its lease has {leased.Count} addresses: {leased.Count - free.Count} on pods, {resting.Count} cooling"
            + (resting.Count > 0 ? $" (the first for {Math.Ceiling(resting.Min().TotalSeconds):0} s more)" : "")
            + (notSetUp > 0 ? $", {notSetUp} on interfaces that are not set up yet" : "") + $"; {Lease.Adds.Values.Count(add => add.Waits)} pods wait.";
    }

    private static Answer.NotYet NotYet(ReasonCode code, string text) => new(new Reason(code, text));

    [LoggerMessage(EventId = 3111, Level = LogLevel.Debug, Message = "Sandbox {Sandbox} takes {Address} from the lease: no silo answered in time.")]
    private partial void LogSpent(SandboxKey sandbox, Ip address);

    [LoggerMessage(EventId = 3112, Level = LogLevel.Information, Message = "Sandbox {Sandbox} was offered {Address}, which cannot be claimed: {Why}.")]
    private partial void LogRefused(SandboxKey sandbox, Ip address, RefusalCode why);
}
