namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>The deadlines of <see cref="LeaseLink"/>; the defaults are the design's.</summary>
public sealed record LeaseLinkOptions
{
    /// <summary>An ADD that waits for an address gives up then: before kubelet's 240 s.</summary>
    public TimeSpan AddDeadline { get; init; } = TimeSpan.FromSeconds(200);

    /// <summary>Without an answer by then, the lease is spent.</summary>
    public TimeSpan AnswerBeforeLeaseIsSpent { get; init; } = TimeSpan.FromMilliseconds(400);

    /// <summary>Of one call.</summary>
    public TimeSpan CallDeadline { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Between syncs without news.</summary>
    public TimeSpan SyncPeriod { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Between syncs at least, so that a burst of changes is one report.</summary>
    public TimeSpan SyncGap { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>A waiting ADD asks again after it; so does everything that has failed.</summary>
    public TimeSpan AskAgain { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>An ordered interface that the node does not have is looked for each <see cref="AskAgain"/> so long, then each <see cref="SyncPeriod"/>.</summary>
    public TimeSpan LookOftenFor { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Offers that one round of an ADD refuses before it waits.</summary>
    public int OffersARound { get; init; } = 8;
}
