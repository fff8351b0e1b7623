using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>Holds the lease and keeps it and the node's grain together: ADDs ask, DELs tell, a report goes out when something has changed.</summary>
/// <remarks>Everything here runs on one scheduler that runs one thing at a time: the executor's <see cref="Lane"/>, or a simulation's. No lock,
/// no thread, no clock but the injected one. What must outlive the process is in the store before the new lease is used.</remarks>
public sealed partial class LeaseLink
{
    private readonly INodeApi api;
    private readonly ILeaseStore store;
    private readonly TimeProvider time;
    private readonly LeaseLinkOptions options;
    private readonly IHostInterfaces interfaces;
    private readonly ILogger log;
    private volatile NodeLease lease; // A DEL's end of a claim is seen by whoever looks after that DEL.
    private readonly Repeated noAnswers;
    private readonly Repeated notWritten;
    private readonly Pulse news = new();
    private readonly Pulse reportWanted = new();
    private readonly Pulse reported = new();
    private readonly Pulse releaseWanted = new();

    /// <param name="lease">Of the start, and in the store already.</param>
    public LeaseLink(
        INodeApi api, ILeaseStore store, TimeProvider time, LeaseLinkOptions options, NodeLease lease, IHostInterfaces interfaces, ILogger log)
    {
        (this.api, this.store, this.time, this.options, this.lease, this.interfaces, this.log) = (api, store, time, options, lease, interfaces, log);
        (noAnswers, notWritten) = (new Repeated(time), new Repeated(time));
    }

    /// <summary>As it is now: a value, so it may be read from any thread.</summary>
    public NodeLease Lease
    {
        get => lease;
        private set => lease = value;
    }

    private TimeSpan Now => BootClock.Now(time);

    /// <summary>An ADD: waits for an address within its deadline, and has claimed it when it returns one.</summary>
    /// <param name="network">That the config names.</param>
    /// <param name="turn">Its place in the order in which requests arrived.</param>
    /// <param name="waited">How much of its deadline has gone by.</param>
    /// <param name="cancellation">The runtime has given up. Nothing is left of the ADD then.</param>
    /// <param name="hostMac">That its link on the host gets; the claim keeps it for the next executor.</param>
    public async Task<AddOutcome> AssignAsync(
        SandboxKey sandbox, PodName pod, string network, long turn, TimeSpan waited, CancellationToken cancellation, string? hostMac = null)
    {
        (Lease, var start) = Lease.Begin(sandbox, pod, turn, Now, network, hostMac);
        return start switch
        {
            AddStart.Asks(var number) => await AskUntilAsync(new Adding(sandbox, pod, number, []), Now + options.AddDeadline - waited, cancellation),
            AddStart.Holds(var grant) => new AddOutcome.Granted(grant, null),
            AddStart.Outrun => Deleted(sandbox),
            AddStart.InProgress => new AddOutcome.Failed(CanRetry: true, $"{sandbox}: another ADD of this sandbox is being served. Wait for it."),
            _ => new AddOutcome.Failed(CanRetry: true,
                $"{NodeLease.MaxAdds} pods of this node wait for an address already. Look at why: 'ipam nodes {Lease.InstanceId}'."),
        };
    }

    /// <summary>An ADD that has its address could not be wired.</summary>
    /// <returns>False when a DEL has ended the claim already.</returns>
    public bool Undo(SandboxKey sandbox, long number) => TellEnd(sandbox, Lease.Undo(sandbox, number));

    /// <summary>A DEL: the sandbox has nothing any more. Its address stays held until <see cref="LinkGone"/>.</summary>
    /// <param name="turn">Its place in the order in which requests arrived.</param>
    /// <returns>What its link has, or had; null when there is nothing to take away.</returns>
    public Grant? Delete(SandboxKey sandbox, long turn)
    {
        var end = Lease.Delete(sandbox, turn, Now);
        TellEnd(sandbox, end);
        news.Fire(); // Its ADD may be waiting.
        if (end.Release is { } stamp && Lease.Ended[stamp].Address is { } ended)
        {
            return new Grant(ended, Lease.Slots[ended].EniId); // Not one that an earlier DEL of the container has ended, and that is still leaving.
        }

        return Lease.Claims.ContainsKey(sandbox) ? null : Lease.HeldBy(sandbox); // A claim that is still there is a later ADD's.
    }

    /// <summary>A sandbox has gone without a DEL, and its link with it.</summary>
    /// <returns>False when its claim has ended meanwhile.</returns>
    public bool Vanish(SandboxKey sandbox, Ip address) => TellEnd(sandbox, Lease.Vanish(sandbox, address));

    /// <summary>A DEL that had found no executor. ADDs that wait now are later, so it leaves no tombstone.</summary>
    /// <returns>What its link has, or had; null when there is nothing to take away.</returns>
    internal LateEnd DeleteLate(SandboxKey sandbox)
    {
        var held = Lease.HeldBy(sandbox);
        var isEndedNow = held is { } grant && Vanish(sandbox, grant.Address);
        return new LateEnd(held, isEndedNow, !isUnwritten); // A write that succeeds writes all of before, too.
    }

    /// <summary>The runtime has no such sandbox any more.</summary>
    /// <returns>Whether it had the address, or its link has it still.</returns>
    public bool Collect(SandboxKey sandbox, Ip address) => Vanish(sandbox, address) || Lease.HeldBy(sandbox)?.Address == address;

    /// <summary>The kernel has confirmed that the link is gone: the address rests.</summary>
    public void LinkGone(SandboxKey sandbox, Ip address)
    {
        var now = Now;
        var next = Lease.LinkGone(sandbox, address, now);
        if (next != Lease)
        {
            Lease = next; // In memory even when the disk fails: the next start finds a claim without a link, and lets it rest.
            TryAppend(new LeaseEntry.Freed(sandbox, address, now));
        }
    }

    /// <summary>Whether the ADD's claim is still its own.</summary>
    public bool IsClaimed(SandboxKey sandbox, Ip address) => Lease.Claims.TryGetValue(sandbox, out var claimed) && claimed == address;

    private async Task<AddOutcome> AskUntilAsync(Adding add, TimeSpan deadline, CancellationToken cancellation)
    {
        try
        {
            while (true)
            {
                var changed = news.Next;
                var answer = Lease.Adds.GetValueOrDefault(add.Sandbox)?.Number == add.Number
                    ? await AskAsync(add, cancellation)
                    : new Answer.Outrun();
                switch (answer)
                {
                    case Answer.Claimed(var grant):
                        return new AddOutcome.Granted(grant, add.Number);
                    case Answer.Never(var why):
                        return new AddOutcome.Failed(CanRetry: why.Code == ReasonCode.Outdated, why.Text); // A new ADD has a new number.
                    case Answer.Outrun:
                        return Deleted(add.Sandbox);
                    case Answer.NotYet(var why) when Now >= deadline:
                        return new AddOutcome.Failed(CanRetry: true,
                            $"No address after {options.AddDeadline.TotalSeconds:0} s. {why.Text}");
                    case Answer.NotYet(var why) when Lease.Adds.TryGetValue(add.Sandbox, out var asking):
                        Lease = Lease.Wait(add.Sandbox, why);
                        if (!asking.Waits)
                        {
                            reportWanted.Fire(); // It is demand.
                        }

                        break;
                }

                await time.ForAsync(changed, Min(options.AskAgain, deadline - Now), cancellation);
                cancellation.ThrowIfCancellationRequested();
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            NotWritten(e);
            return new AddOutcome.Failed(CanRetry: true, NotClaimed(e));
        }
        finally
        {
            if (Lease.Adds.ContainsKey(add.Sandbox))
            {
                Undo(add.Sandbox, add.Number); // Without an address, or given up: a silo may have stored an offer.
            }
        }
    }

    private bool TellEnd(SandboxKey sandbox, (NodeLease Lease, Stamp? Release) end)
    {
        Lease = end.Lease;
        if (end.Release is not { } stamp)
        {
            return false;
        }

        // A DEL succeeds whatever fails. Without this line the next start finds a claim without a link: the same end, later.
        TryAppend(new LeaseEntry.Ended(stamp, Lease.Ended[stamp]));
        LogEnded(sandbox, Lease.Ended[stamp].Address);
        releaseWanted.Fire();
        return true;
    }

    private void TryAppend(LeaseEntry entry)
    {
        try
        {
            store.Append(entry, Lease);
            isUnwritten = false;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            NotWritten(e);
        }
    }

    private static AddOutcome.Failed Deleted(SandboxKey sandbox) =>
        new AddOutcome.Failed(CanRetry: true, $"{sandbox}: a DEL has come since this ADD began, so it gets no address.");

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;

    [LoggerMessage(EventId = 3101, Level = LogLevel.Debug, Message = "Sandbox {Sandbox} has no claim any more; it had {Address}.")]
    private partial void LogEnded(SandboxKey sandbox, Ip? address);

    [LoggerMessage(EventId = 3102, Level = LogLevel.Error, Message = "{Failure}")]
    private partial void LogNotWritten(string failure);

    /// <param name="Had">Null when there was nothing.</param>
    /// <param name="IsEndedNow">The claim was there until now.</param>
    /// <param name="IsWritten">The lease file knows it.</param>
    internal readonly record struct LateEnd(Grant? Had, bool IsEndedNow, bool IsWritten);

    /// <param name="Offered">Addresses that it has refused.</param>
    private sealed record Adding(SandboxKey Sandbox, PodName Pod, long Number, HashSet<Ip> Offered);
}
