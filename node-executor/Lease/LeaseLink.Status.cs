namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>Whether an ADD could be served now, for a runtime that asks.</summary>
public sealed partial class LeaseLink
{
    private bool isUnwritten; // The last write of the lease file failed.

    /// <summary>Ends when a sandbox could be given an address.</summary>
    public async Task WhenServableAsync(CancellationToken cancellation)
    {
        while (!Lease.CanServe)
        {
            var changed = news.Next;
            await time.ForAsync(changed, options.SyncPeriod, cancellation);
            cancellation.ThrowIfCancellationRequested();
        }
    }

    /// <summary>What stands against an ADD; null when nothing does.</summary>
    /// <remarks>A node whose addresses are all on pods, or cool, serves: an ADD waits for the next one, and the scheduler keeps to the
    /// node's max-pods. Were it called not ready, its pods would be evicted. So it is with silos away.</remarks>
    public Unserved? WhyNotServable()
    {
        if (!Lease.CanServe)
        {
            var cut = Lease.Claims.Values.Where(address => looked.GetValueOrDefault(Lease.Slots[address].EniId) is InterfaceState.Absent).ToList();
            var unknown = Lease.Interfaces.Keys.Count(eni => looked.GetValueOrDefault(eni, InterfaceState.Unclear) is InterfaceState.Unclear);
            return new Unserved(
                $"This node has {Lease.Slots.Values.Count(slot => slot.Leased)} leased addresses and {Lease.InterfacesSetUp.Count} interfaces set up, so no pod can get an address yet."
                + (unknown > 0 ? $" {unknown} interfaces are not looked at yet, or the kernel does not say how they are." : "")
                + (cut.Count > 0 ? $" {cut.Count} pods are on interfaces that this machine does not show (the first is {cut[0]})." : "")
                + $" {lastFailure ?? "Its grain draws addresses; see 'ipam nodes'."}",
                cut.Count > 0);
        }

        try
        {
            if (isUnwritten)
            {
                store.Save(Lease); // Nobody else may come to try: a runtime that hears of it sends no more pods.
                isUnwritten = false;
            }

            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new Unserved(NotClaimed(e), AffectsPods: false);
        }
    }

    private void NotWritten(Exception e)
    {
        isUnwritten = true;
        if (notWritten.Say(NotClaimed(e)) is { } line)
        {
            LogNotWritten(line);
        }
    }

    private static string NotClaimed(Exception e) =>
        $"The lease file cannot be written, so no address can be claimed: {e.Message} Check the disk of the state directory.";
}

/// <summary>Why no ADD can be served now.</summary>
/// <param name="Text">For people, with what to do.</param>
/// <param name="AffectsPods">Pods that run may be without network, too.</param>
public sealed record Unserved(string Text, bool AffectsPods);
