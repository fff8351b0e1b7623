namespace AwsVpcCni.Core.Instances;

/// <summary>Whether an instance is gone, by what looks at EC2 have shown and its executor has said. Immutable; time comes in.</summary>
/// <remarks>EC2 may not show an instance that has just been launched, and one of its readers may be behind: a look that does not show it proves nothing
/// by itself, and nothing at all once its executor has been heard since. `terminated` is final.</remarks>
/// <param name="IsTerminated">EC2 has shown it so.</param>
/// <param name="AbsentSince">When the first of the looks in a row came that have not shown it. UTC.</param>
/// <param name="IsAbsent">Another one has come long enough after that.</param>
public readonly record struct InstanceFate(bool IsTerminated = false, DateTimeOffset? AbsentSince = null, bool IsAbsent = false)
{
    /// <summary>So far apart come the answers of two looks that are a minute apart: none is on its way for as long as a minute.</summary>
    public static readonly TimeSpan AnswersApart = TimeSpan.FromMinutes(2);

    /// <summary>It has no pods any more, and never will. `shutting-down` and `stopped` are not gone.</summary>
    public bool IsGone => IsTerminated || IsAbsent;

    /// <summary>After a look.</summary>
    /// <param name="state">EC2's word; null: it shows no such instance.</param>
    /// <param name="now">UTC, when the answer came.</param>
    public InstanceFate Looked(string? state, DateTimeOffset now) => (IsTerminated, state) switch
    {
        (true, _) or (_, "terminated") => new InstanceFate(IsTerminated: true),
        (_, null) => new InstanceFate(AbsentSince: AbsentSince ?? now, IsAbsent: IsAbsent || (AbsentSince is { } since && (now - since).Duration() >= AnswersApart)),
        _ => default,
    };

    /// <summary>After a word of its executor, which may be an old one.</summary>
    public InstanceFate Heard() => IsTerminated ? this : default;
}
