using AwsVpcCni.Silo.Views;

namespace AwsVpcCni.Silo.Hosting;

/// <summary>Whether this process can serve a node now, and goes on to.</summary>
/// <remarks>Whoever reaches the port may ask, and a look costs writes to the store: one a second answers all.</remarks>
internal abstract class Readiness
{
    private readonly Recent<string?> _look;

    /// <summary>Of this process.</summary>
    protected Readiness(IHostApplicationLifetime lifetime, TimeProvider time)
    {
        (Lifetime, Time) = (lifetime, time);
        _look = new Recent<string?>(() => LookAsync(CancellationToken.None), time);
    }

    /// <summary>Of this process.</summary>
    protected IHostApplicationLifetime Lifetime { get; }

    /// <summary>Of all waits.</summary>
    protected TimeProvider Time { get; }

    /// <summary>Null when ready; else why not.</summary>
    public Task<string?> WhyNotAsync(CancellationToken cancellation) => Lifetime.ApplicationStopping.IsCancellationRequested
        ? Task.FromResult<string?>("it is leaving") // The door closes next, and a silo hands its grains over after that.
        : _look.ReadAsync().WaitAsync(cancellation);

    /// <summary>The same, of one that stays. It has deadlines of its own: whoever asked first may have gone.</summary>
    protected abstract Task<string?> LookAsync(CancellationToken cancellation);
}
