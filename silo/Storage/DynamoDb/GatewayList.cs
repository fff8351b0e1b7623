using Orleans.Messaging;

namespace AwsVpcCni.Silo.Storage.DynamoDb;

/// <summary>Where Orleans clients reach the active silos.</summary>
internal sealed class GatewayList(MembershipRows silos) : IGatewayListProvider
{
    /// <inheritdoc/>
    public TimeSpan MaxStaleness { get; } = TimeSpan.FromSeconds(5); // The design's refresh of the silo list.

    /// <inheritdoc/>
    public bool IsUpdatable => true;

    /// <inheritdoc/>
    public Task InitializeGatewayListProvider() => Task.CompletedTask; // A client makes no table.

    /// <inheritdoc/>
    public async Task<IList<Uri>> GetGateways() => [.. (await silos.QueryAsync()).Select(MembershipItem.Gateway).OfType<Uri>()];
}
