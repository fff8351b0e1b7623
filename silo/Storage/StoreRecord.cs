using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Silo.Storage;

/// <summary>One thing that a store holds, whichever store it is. Closed: nobody outside can add a case.</summary>
internal abstract record StoreRecord
{
    private StoreRecord()
    {
    }

    /// <summary>A grain's document, without its ETag: that is the store's.</summary>
    /// <param name="Grain">The grain's id, as text.</param>
    /// <param name="Name">The document's.</param>
    /// <param name="Body">JSON, with all that its writer has put in.</param>
    public sealed record Document(string Grain, string Name, string Body) : StoreRecord
    {
        /// <inheritdoc/>
        public override string ToString() => $"document {Name} of {Grain}";
    }

    /// <summary>Who holds an address, or held it last.</summary>
    public sealed record Address(AddressRow Row) : StoreRecord
    {
        /// <inheritdoc/>
        public override string ToString() => $"row {Row.Address} of {Row.NodeId}";
    }

    /// <summary>Who has had an address, and until when.</summary>
    public sealed record History(AddressRow Row) : StoreRecord
    {
        /// <inheritdoc/>
        public override string ToString() => $"history of {Row.Address} since {Row.Since:O}";
    }
}

/// <summary>All that a store holds, for <c>ipam export</c> and <c>ipam import</c>. No silo may run on it meanwhile: where one can be seen, both refuse.</summary>
internal interface IStoreContents
{
    /// <summary>For the user to know before either begins; null: nothing.</summary>
    string? Caution { get; }

    /// <summary>Every record, as it is read.</summary>
    /// <exception cref="StoreException">A silo runs on it; it does not answer; or it has what we cannot take along.</exception>
    IAsyncEnumerable<StoreRecord> ReadAsync(CancellationToken cancellation);

    /// <summary>Whether the store could hold it.</summary>
    /// <exception cref="StoreException">It could not, and why.</exception>
    void Check(StoreRecord record);

    /// <summary>Puts all of them into an empty store.</summary>
    /// <param name="importId">The same for the same records: by it an import that was interrupted is known again.</param>
    /// <param name="records">Each has passed <see cref="Check"/>.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>False: this import has come to its end before, and nothing is changed.</returns>
    /// <exception cref="StoreException">A silo runs on it, it is not empty, or does not answer; and what to do.</exception>
    Task<bool> FillAsync(string importId, IAsyncEnumerable<StoreRecord> records, CancellationToken cancellation);
}
