using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Silo.Storage;

/// <summary>The store under documents and rows, as the silo itself needs it.</summary>
internal interface IStore
{
    /// <summary>Before any other part of the silo: on a store that is not in order nothing else may start.</summary>
    /// <exception cref="StoreException">What is not in order, and what to do.</exception>
    Task OpenAsync(CancellationToken cancellation);

    /// <summary>Takes what pods need of each of its parts, writes among it, which leaves nothing behind that a reader could find.</summary>
    /// <exception cref="StoreException">Why it does not.</exception>
    Task ProbeAsync(CancellationToken cancellation);
}
