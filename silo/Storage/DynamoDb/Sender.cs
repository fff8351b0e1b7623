using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using Amazon.Runtime;
using AwsVpcCni.Grains.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace AwsVpcCni.Silo.Storage.DynamoDb;

/// <summary>Sends a request to DynamoDB within a deadline: what may pass is sent again, with jitter, at most three times in all.</summary>
/// <remarks>A write may so be sent twice although the first was executed. Its caller writes under a condition, and looks at the
/// item that stands there when the condition fails.</remarks>
/// <param name="connect">Makes the SDK's client.</param>
internal sealed partial class Sender(Func<IAmazonDynamoDB> connect, StoreMetrics metrics, TimeProvider time, Random random, ILogger<Sender>? log = null) : IDisposable
{
    private const int Sends = 3;

    // The first wait is at most this part of the deadline, the second twice as much.
    private const int FirstWaitPart = 8;

    private readonly ILogger _log = log ?? NullLogger<Sender>.Instance;
    private readonly Lock _randomLock = new();
    private readonly Lock _sdkLock = new();
    private Task<IAmazonDynamoDB>? _sdk;

    /// <summary>Sends it.</summary>
    /// <param name="deadline">For all sends and the waits between them.</param>
    /// <exception cref="ConditionalCheckFailedException">The condition does not hold, or a send before this one has made it so.</exception>
    /// <exception cref="TransactionCanceledException">A condition in it does not hold.</exception>
    /// <exception cref="StoreException">Everything else, with the table, the action and what to do.</exception>
    public async Task<TAnswer> SendAsync<TAnswer>(
        TableCall call, TimeSpan deadline, Func<IAmazonDynamoDB, CancellationToken, Task<TAnswer>> send, CancellationToken cancellation)
        where TAnswer : AmazonWebServiceResponse
    {
        var began = time.GetTimestamp();
        using var timer = new CancellationTokenSource(deadline, time);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellation);
        var before = ""; // What the last send but this one met.
        for (var sends = 1; ; sends++)
        {
            try
            {
                var sdk = await ConnectAsync().WaitAsync(ends.Token);
                var answer = await send(sdk, ends.Token).WaitAsync(ends.Token); // Not every wait inside the SDK heeds the token.
                metrics.Consumed(call, CapacityOf(answer));
                return answer;
            }
            catch (Exception e) when (DynamoFaults.IsLostCondition(e))
            {
                if (!call.IsTrial)
                {
                    metrics.LostCondition(call);
                }

                throw;
            }
            catch (Exception e) when (!ends.IsCancellationRequested)
            {
                var fault = DynamoFaults.Of(e);
                metrics.Failed(call, fault.ToString());
                var wait = Jitter(deadline, sends);
                if (!DynamoFaults.MayPass(fault) || sends == Sends || time.GetElapsedTime(began) + wait >= deadline)
                {
                    throw DynamoFaults.Translate(call, fault, sends, e);
                }

                before = $", before that {DynamoFaults.Said(e)}";
                LogAgain(call.What, call.Table, fault, before);
                await Task.Delay(wait, time, cancellation);
            }
            catch (Exception e) when (!cancellation.IsCancellationRequested)
            {
                metrics.Failed(call, "Late");
                throw new StoreException(
                    $"{call.What}: not known to have happened: DynamoDB has not answered for table {call.Table} within {deadline.TotalMilliseconds:0} ms ({sends} sends{before}). "
                    + "Try again; if it goes on, check the way to it (Storage:Region, Storage:ServiceUrl, a VPC endpoint).", e);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                throw new OperationCanceledException($"{call.What}: cancelled.", e, cancellation);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_sdkLock)
        {
            _sdk?.ContinueWith(
                made => made.Result.Dispose(), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    /// <summary>One client for all calls; one that could not be made is tried again. Looking for credentials may block for seconds, which a grain's turn must not.</summary>
    private Task<IAmazonDynamoDB> ConnectAsync()
    {
        lock (_sdkLock)
        {
            return _sdk is { IsFaulted: false } ? _sdk : _sdk = Task.Run(connect);
        }
    }

    private TimeSpan Jitter(TimeSpan deadline, int sends)
    {
        lock (_randomLock)
        {
            return deadline / FirstWaitPart * sends * random.NextDouble();
        }
    }

    private static double CapacityOf(AmazonWebServiceResponse answer) => answer switch
    {
        PutItemResponse put => put.ConsumedCapacity?.CapacityUnits,
        UpdateItemResponse update => update.ConsumedCapacity?.CapacityUnits,
        DeleteItemResponse delete => delete.ConsumedCapacity?.CapacityUnits,
        GetItemResponse get => get.ConsumedCapacity?.CapacityUnits,
        QueryResponse query => query.ConsumedCapacity?.CapacityUnits,
        ScanResponse scan => scan.ConsumedCapacity?.CapacityUnits,
        TransactWriteItemsResponse write => write.ConsumedCapacity?.Sum(table => table.CapacityUnits),
        TransactGetItemsResponse read => read.ConsumedCapacity?.Sum(table => table.CapacityUnits),
        _ => null, // Of tables: free.
    } ?? 0;

    [LoggerMessage(EventId = 3401, Level = LogLevel.Debug, Message = "Sent again: {What}: table {Table}: {Fault}{Said}")]
    private partial void LogAgain(string what, string table, DynamoFault fault, string said);
}
