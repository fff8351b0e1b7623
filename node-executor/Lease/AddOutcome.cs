using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>What an ADD gets of the lease. Closed.</summary>
public abstract record AddOutcome
{
    private AddOutcome()
    {
    }

    /// <summary>It has an address, claimed.</summary>
    /// <param name="Number">Of the ADD, to undo it; null when an earlier ADD of the sandbox had claimed the address already.</param>
    public sealed record Granted(Grant Grant, long? Number) : AddOutcome;

    /// <summary>It has none.</summary>
    /// <param name="CanRetry">Whether trying again later can help.</param>
    /// <param name="Text">Why, and what to do.</param>
    public sealed record Failed(bool CanRetry, string Text) : AddOutcome;
}

/// <summary>What one question about a sandbox's address has brought. Closed.</summary>
internal abstract record Answer
{
    private Answer()
    {
    }

    internal sealed record Claimed(Grant Grant) : Answer;

    internal sealed record NotYet(Reason Why) : Answer;

    internal sealed record Never(Reason Why) : Answer;

    internal sealed record Outrun : Answer;
}
