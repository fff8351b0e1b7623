namespace AwsVpcCni.Silo.Cli.Doctor;

/// <summary>How a check ended.</summary>
internal enum Outcome
{
    /// <summary>As a silo needs it.</summary>
    Ok,

    /// <summary>Only by doing it.</summary>
    NotCheckable,

    /// <summary>Something that it needs is not there.</summary>
    NotTried,

    /// <summary>A silo would not work so.</summary>
    Failed,
}

/// <summary>What one check has found; a line of <c>ipam doctor</c>.</summary>
/// <param name="Check">What was looked at.</param>
/// <param name="Outcome">How it ended.</param>
/// <param name="Text">What was seen, or what is wrong and what to do.</param>
internal sealed record Finding(string Check, Outcome Outcome, string Text)
{
    /// <inheritdoc/>
    public override string ToString()
    {
        var outcome = Outcome switch { Outcome.Ok => "ok", Outcome.NotCheckable => "not checkable", Outcome.NotTried => "not tried", _ => "FAILED" };
        return $"{outcome,-13}  {Check,-45}  {Text.ReplaceLineEndings(" ")}";
    }
}
