using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using Amazon.Runtime;
using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Silo.Storage.DynamoDb;

/// <summary>Tries whether DynamoDB does an action on a table, and leaves nothing: reads of what is not there, and writes under a condition that nothing meets.</summary>
internal static class Trial
{
    /// <summary>Sends it.</summary>
    /// <param name="nobody">The key of no item. Who tries, for whoever reads DynamoDB's own log.</param>
    /// <exception cref="StoreException">Why DynamoDB does not do it, and what to do.</exception>
    public static async Task SendAsync(Sender sender, TableKeys table, string action, string nobody, TimeSpan deadline, CancellationToken cancellation)
    {
        var none = new AttributeValue(nobody);
        var key = new Dictionary<string, AttributeValue> { [table.Hash] = none, [table.Range] = none };
        // Of no item both is true.
        var never = $"attribute_exists({table.Hash}) AND attribute_not_exists({table.Hash})";
        try
        {
            await (action switch
            {
                "Query" => OneAsync((sdk, ends) => sdk.QueryAsync(
                    new QueryRequest
                    {
                        TableName = table.Table, KeyConditionExpression = "#hash = :nobody", ExpressionAttributeNames = new() { ["#hash"] = table.Hash },
                        ExpressionAttributeValues = new() { [":nobody"] = none }, ConsistentRead = true, ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL,
                    }, ends)),
                "GetItem" => OneAsync((sdk, ends) => sdk.GetItemAsync(
                    new GetItemRequest { TableName = table.Table, Key = key, ConsistentRead = true, ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL }, ends)),
                "PutItem" => OneAsync((sdk, ends) => sdk.PutItemAsync(new PutItemRequest { TableName = table.Table, Item = key, ConditionExpression = never }, ends)),
                "UpdateItem" => OneAsync((sdk, ends) => sdk.UpdateItemAsync(
                    new UpdateItemRequest
                    {
                        TableName = table.Table, Key = key, ConditionExpression = never, UpdateExpression = "SET trial = :nobody", ExpressionAttributeValues = new() { [":nobody"] = none },
                    }, ends)),
                "DescribeTimeToLive" => OneAsync((sdk, ends) => sdk.DescribeTimeToLiveAsync(table.Table, ends)),
                "DeleteItem" => OneAsync((sdk, ends) => sdk.DeleteItemAsync(new DeleteItemRequest { TableName = table.Table, Key = key, ConditionExpression = never }, ends)),
                _ => throw new InvalidOperationException($"No way to try {action}."),
            });
        }
        catch (ConditionalCheckFailedException)
        {
            // Allowed, and without effect.
        }

        Task OneAsync<TAnswer>(Func<IAmazonDynamoDB, CancellationToken, Task<TAnswer>> send)
            where TAnswer : AmazonWebServiceResponse => sender.SendAsync(new TableCall($"try {action}", table.Table, action, IsTrial: true), deadline, send, cancellation);
    }
}
