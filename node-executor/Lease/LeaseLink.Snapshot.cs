namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>How it stands with lease and silos, for who looks at it.</summary>
public sealed partial class LeaseLink
{
    private TimeSpan? answeredAt;
    private long unanswered;

    /// <summary>All of it at one moment. On the lane, as everything here.</summary>
    public LinkSnapshot Snapshot() =>
        new(Lease, Now, api.Silo, answeredAt is { } at ? Now - at : null, lastFailure, unanswered, IsFileWritten: !isUnwritten);
}

/// <summary>Lease and talk with the silos at one moment.</summary>
/// <param name="Now">Boot-clock time.</param>
/// <param name="Silo">That answered last; null: none has yet, or it is not known.</param>
/// <param name="Contact">How long ago a silo has answered; null: never since the start.</param>
/// <param name="Failure">Why the last sync or question failed; null when the last one did not.</param>
/// <param name="Failures">How many syncs, questions and releases have failed since the start.</param>
/// <param name="IsFileWritten">False: the last write of the lease file has failed.</param>
public sealed record LinkSnapshot(NodeLease Lease, TimeSpan Now, string? Silo, TimeSpan? Contact, string? Failure, long Failures, bool IsFileWritten);
