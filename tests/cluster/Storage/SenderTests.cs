using System.Net;
using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using Amazon.Runtime;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Storage.DynamoDb;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Storage;

/// <summary>How calls of DynamoDB fail, with the real SDK and a real connection, and without a DynamoDB.</summary>
public sealed class SenderTests : IAsyncDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly DynamoDbProxy _way = DynamoDbProxy.WithoutDynamoDb();
    private readonly StoreMetrics _metrics = new();

    private StorageOptions Settings => field ??= new() { Provider = StorageOptions.DynamoDb, Region = DynamoDbProxy.Region, ServiceUrl = _way.Url };

    public ValueTask DisposeAsync()
    {
        _metrics.Dispose();
        return _way.DisposeAsync();
    }

    [Theory]
    [InlineData("AccessDeniedException", 400, "the silo's role may not dynamodb:DeleteItem on table addresses (AccessDeniedException: as the test wished). Grant it")]
    [InlineData("UnrecognizedClientException", 400, "no credentials that DynamoDB takes (UnrecognizedClientException: as the test wished). Give the silo a role")]
    [InlineData("InvalidSignatureException", 400, "no credentials that DynamoDB takes")] // A wrong clock too.
    [InlineData("ExpiredTokenException", 400, "no credentials that DynamoDB takes")]
    [InlineData("ResourceNotFoundException", 400, "DynamoDB has no table addresses here. `silo ipam tables create` makes it")]
    [InlineData("ValidationException", 400, "DynamoDB refused dynamodb:DeleteItem on table addresses (ValidationException: as the test wished).")]
    public async Task What_cannot_pass_is_sent_once_and_told_with_what_to_do(string code, int status, string said)
    {
        _way.Next(StoreFault.Refused(code, (HttpStatusCode)status)).Next(StoreFault.Refused(code, (HttpStatusCode)status));

        var error = await Assert.ThrowsAsync<StoreException>(() => RemoveAsync());

        Assert.StartsWith("remove the row of 10.0.0.9 of i-1: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(said, error.Message, StringComparison.Ordinal);
        Assert.Equal(1, _way.Sends);
    }

    [Theory]
    [InlineData("ThrottlingException", 400, "DynamoDB throttles table addresses (3 sends; ThrottlingException: as the test wished).")]
    [InlineData("ProvisionedThroughputExceededException", 400, "DynamoDB throttles table addresses (3 sends")]
    [InlineData("RequestLimitExceeded", 400, "DynamoDB throttles table addresses (3 sends")]
    [InlineData("TransactionConflictException", 400, "another transaction is at the same items of table addresses (3 sends; TransactionConflictException: ")]
    [InlineData("InternalServerError", 500, "not known to have happened: no whole answer from DynamoDB for table addresses (3 sends")]
    [InlineData("ServiceUnavailable", 503, "not known to have happened: no whole answer from DynamoDB for table addresses (3 sends")]
    [InlineData(null, 0, "not known to have happened: no whole answer from DynamoDB for table addresses (3 sends; ")]
    public async Task What_may_pass_is_sent_three_times_and_not_more(string? code, int status, string said)
    {
        for (var send = 1; send <= 4; send++)
        {
            _ = code is null ? _way.Next(StoreFault.CutBefore) : _way.Next(StoreFault.Refused(code, (HttpStatusCode)status));
        }

        var error = await Assert.ThrowsAsync<StoreException>(() => RemoveAsync());

        Assert.Contains(said, error.Message, StringComparison.Ordinal);
        Assert.Equal(3, _way.Sends);
    }

    [Theory] // Reasons: the DynamoDB API's TransactWriteItems.
    [InlineData("None,TransactionConflict", 3, "another transaction is at the same items of table silos (3 sends; TransactionCanceledException: ")]
    [InlineData("ThrottlingError,None", 3, "DynamoDB throttles table silos (3 sends; TransactionCanceledException: ")]
    [InlineData("TransactionConflict,ProvisionedThroughputExceeded", 3, "DynamoDB throttles table silos (3 sends; TransactionCanceledException: ")]
    [InlineData("ValidationError,TransactionConflict", 1, "DynamoDB refused dynamodb:PutItem on table silos (TransactionCanceledException: ")]
    [InlineData("None,ItemCollectionSizeLimitExceeded", 1, "DynamoDB refused dynamodb:PutItem on table silos (TransactionCanceledException: ")]
    [InlineData("None,WhatIsNotKnown", 1, "; WhatIsNotKnown, as the test wished).")]
    public async Task A_cancelled_transaction_is_sent_again_only_where_each_of_its_reasons_may_pass(string reasons, int sends, string said)
    {
        for (var send = 1; send <= 4; send++)
        {
            _way.Next(StoreFault.Cancelled(reasons.Split(',')));
        }

        var error = await Assert.ThrowsAsync<StoreException>(JoinAsync);

        Assert.Contains(said, error.Message, StringComparison.Ordinal);
        Assert.Equal(sends, _way.Sends);
    }

    [Fact]
    public async Task A_transaction_whose_condition_fails_is_an_answer_whatever_else_was_in_its_way()
    {
        _way.Next(StoreFault.Cancelled("TransactionConflict", "ConditionalCheckFailed"));

        await Assert.ThrowsAsync<TransactionCanceledException>(JoinAsync);

        Assert.Equal(1, _way.Sends);
    }

    [Fact]
    public async Task Calls_at_once_have_one_client()
    {
        var made = 0;
        using var go = new ManualResetEventSlim();
        using var sender = new Sender(
            () =>
            {
                Interlocked.Increment(ref made);
                go.Wait(TestContext.Current.CancellationToken);
                return Client();
            }, _metrics, _time, new Jitter(0));
        _way.Always = _ => StoreFault.Refused("ConditionalCheckFailedException");
        Task[] calls = [.. Enumerable.Range(1, 4).Select(_ => Book(sender).TryRemoveAsync("i-1", Ip.Parse("10.0.0.9"), TestContext.Current.CancellationToken))];

        go.Set();
        await Task.WhenAll(calls);

        Assert.Equal((1, 4), (made, _way.Sends));
    }

    [Fact]
    public async Task The_waits_between_sends_do_not_go_beyond_the_deadline()
    {
        _way.Next(StoreFault.Refused("ThrottlingException")).Next(StoreFault.Refused("ThrottlingException"));

        // The first wait is 1/8 of the deadline at most: with ten times as much, nothing is left for a second send.
        var error = await Assert.ThrowsAsync<StoreException>(() => RemoveAsync(jitter: 10));

        Assert.Contains("(1 sends; ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_call_without_an_answer_ends_at_its_deadline()
    {
        _way.Next(StoreFault.Refused("ThrottlingException")).Next(StoreFault.Hang);
        var call = RemoveAsync();
        await UntilAsync(() => _way.Sends == 2);
        _time.Advance(Settings.AttemptDeadline - TimeSpan.FromMilliseconds(1));
        Assert.False(call.IsCompleted);

        _time.Advance(TimeSpan.FromMilliseconds(1));

        var error = await Assert.ThrowsAsync<StoreException>(() => call);
        Assert.Contains(
            "not known to have happened: DynamoDB has not answered for table addresses within 150 ms (2 sends, before that ThrottlingException: as the test wished)", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_caller_that_gives_up_is_not_told_of_a_failure_of_the_store()
    {
        using var giveUp = new CancellationTokenSource();
        _way.Next(StoreFault.Hang);
        var call = RemoveUntilAsync(giveUp.Token);
        await UntilAsync(() => _way.Sends == 1);

        await giveUp.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
    }

    [Fact]
    public async Task A_client_that_cannot_be_made_is_tried_again_at_the_next_call()
    {
        var made = 0;
        using var sender = new Sender(
            () => ++made == 1 ? throw new AmazonClientException("Failed to resolve AWS credentials.") : Client(), _metrics, _time, new Jitter(0));
        var book = Book(sender);

        var error = await Assert.ThrowsAsync<StoreException>(() => book.TryRemoveAsync("i-1", Ip.Parse("10.0.0.9"), TestContext.Current.CancellationToken));
        Assert.Contains("no credentials that DynamoDB takes (Failed to resolve AWS credentials.)", error.Message, StringComparison.Ordinal);
        Assert.Equal((1, 0), (made, _way.Sends));

        _way.Next(StoreFault.Refused("ConditionalCheckFailedException"));
        Assert.False(await book.TryRemoveAsync("i-1", Ip.Parse("10.0.0.9"), TestContext.Current.CancellationToken));
    }

    private AddressBook Book(Sender sender)
    {
        var options = Microsoft.Extensions.Options.Options.Create(Settings);
        return new AddressBook(sender, new AddressHistory(sender, options, _time), options);
    }

    private async Task JoinAsync()
    {
        using var sender = new Sender(Client, _metrics, _time, new Jitter(0));
        var request = new TransactWriteItemsRequest { TransactItems = [new() { Put = new() { TableName = "silos", Item = [] } }, new() { Put = new() { TableName = "silos", Item = [] } }] };
        await sender.SendAsync(
            new TableCall("join", "silos", "PutItem"), Settings.DocumentDeadline, (sdk, ends) => sdk.TransactWriteItemsAsync(request, ends), TestContext.Current.CancellationToken);
    }

    private Task<bool> RemoveAsync(double jitter = 0) => RemoveUntilAsync(TestContext.Current.CancellationToken, jitter);

    private async Task<bool> RemoveUntilAsync(CancellationToken cancellation, double jitter = 0)
    {
        using var sender = new Sender(Client, _metrics, _time, new Jitter(jitter));
        return await Book(sender).TryRemoveAsync("i-1", Ip.Parse("10.0.0.9"), cancellation);
    }

    private AmazonDynamoDBClient Client() => new(new BasicAWSCredentials(DynamoDbProxy.AccessKey, "y"), DynamoDbSetup.Config(Settings));

    private static async Task UntilAsync(Func<bool> holds)
    {
        while (!holds())
        {
            await Task.Delay(5, TestContext.Current.CancellationToken);
        }
    }

    private sealed class Jitter(double part) : Random
    {
        public override double NextDouble() => part;
    }
}
