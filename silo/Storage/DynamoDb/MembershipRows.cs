using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;
using Orleans.Configuration;

namespace AwsVpcCni.Silo.Storage.DynamoDb;

/// <summary>Reads the silos' items. All that an edge needs of DynamoDB.</summary>
internal sealed class MembershipRows(Sender sender, IOptions<StorageOptions> options, IOptions<ClusterOptions> cluster)
{
    /// <summary>Every silo's item.</summary>
    /// <param name="clusterId">Null: ours.</param>
    public async Task<List<Dictionary<string, AttributeValue>>> QueryAsync(string? clusterId = null)
    {
        var request = new QueryRequest
        {
            TableName = options.Value.MembershipTable,
            KeyConditionExpression = $"{MembershipTable.HashKey} = :cluster",
            ExpressionAttributeValues = new() { [":cluster"] = new AttributeValue(clusterId ?? cluster.Value.ClusterId) },
            ConsistentRead = true,
            ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL,
        };
        List<Dictionary<string, AttributeValue>> rows = [];
        do
        {
            var page = await sender.SendAsync(
                new TableCall($"read the membership of {cluster.Value.ClusterId}", request.TableName, "Query"), options.Value.DocumentDeadline, (sdk, ends) => sdk.QueryAsync(request, ends), CancellationToken.None);
            rows.AddRange((page.Items ?? []).Where(item => item[MembershipTable.RangeKey].S != MembershipTable.VersionRow));
            request.ExclusiveStartKey = page.LastEvaluatedKey;
        }
        while (request.ExclusiveStartKey is { Count: > 0 });

        return rows;
    }
}
