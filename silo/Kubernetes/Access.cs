namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>What the API server says of a caller and a path. Closed: nobody outside can add a case.</summary>
internal abstract record Access
{
    private Access() { }

    /// <summary>Come in.</summary>
    /// <param name="User">Its name in the cluster.</param>
    public sealed record Granted(string User) : Access;

    /// <summary>The token is of nobody.</summary>
    /// <param name="Why">In the API server's words.</param>
    public sealed record Unknown(string Why) : Access;

    /// <summary>Known, and no rule allows it.</summary>
    public sealed record Denied(string User) : Access;

    /// <summary>More is asked than is led on to the API server.</summary>
    public sealed record Busy : Access;

    /// <summary>It could not be asked; the log has why.</summary>
    public sealed record Away : Access;
}
