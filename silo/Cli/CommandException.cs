namespace AwsVpcCni.Silo.Cli;

/// <summary>A command cannot be carried out, for causes that its user can mend.</summary>
/// <param name="lines">Each: what, which, and what to do.</param>
internal sealed class CommandException(params IReadOnlyList<string> lines) : Exception(string.Join(' ', lines))
{
    /// <summary>Each: what, which, and what to do.</summary>
    public IReadOnlyList<string> Lines => lines;
}
