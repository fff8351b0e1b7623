using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Tests.Cluster.Grains;
using Orleans.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Storage;

/// <summary>The stores of the simulation and of the grains' tests do what a real one does.</summary>
public sealed class MemoryAddressBookTests : AddressBookContract
{
    private readonly MemoryAddressBook _book = new(TimeProvider.System.GetUtcNow);

    private protected override IAddressBook Book => _book;

    private protected override IAddressBook Reopen() => _book; // Outlives grains, not the process.
}

public sealed class MemoryGrainStorageTests : GrainStorageContract
{
    private readonly MemoryDocuments _documents = new();

    private protected override IGrainStorage Storage => _documents;

    private protected override IGrainStorage Reopen() => _documents;

    [Fact]
    public Task A_state_of_before_all_was_lost_does_not_fit_a_document_of_afterwards() => A_state_of_before_the_loss_does_not_fit_a_document_of_afterwards(() =>
    {
        _documents.Restore([]);
        return Task.CompletedTask;
    });
}
