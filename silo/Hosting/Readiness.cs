namespace AwsVpcCni.Silo.Hosting;

/// <summary>Whether this process can serve a node now, and goes on to.</summary>
internal abstract class Readiness(IHostApplicationLifetime lifetime)
{
    /// <summary>Of this process.</summary>
    protected IHostApplicationLifetime Lifetime { get; } = lifetime;

    /// <summary>Null when ready; else why not.</summary>
    public Task<string?> WhyNotAsync(CancellationToken cancellation) => Lifetime.ApplicationStopping.IsCancellationRequested
        ? Task.FromResult<string?>("it is leaving") // The door closes next, and a silo hands its grains over after that.
        : LookAsync(cancellation);

    /// <summary>The same, of one that stays.</summary>
    protected abstract Task<string?> LookAsync(CancellationToken cancellation);
}
