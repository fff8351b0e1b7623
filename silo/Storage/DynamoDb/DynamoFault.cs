using System.Net;
using Amazon.DynamoDBv2.Model;
using Amazon.Runtime;
using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Silo.Storage.DynamoDb;

/// <summary>One call of DynamoDB, for errors and metrics.</summary>
/// <param name="What">What is tried, with its ids.</param>
/// <param name="Table">The table's name.</param>
/// <param name="Action">As IAM has it, without <c>dynamodb:</c>.</param>
/// <param name="IsTrial">A write under a condition that nothing meets.</param>
internal readonly record struct TableCall(string What, string Table, string Action, bool IsTrial = false);

/// <summary>How a call failed, by what can be done about it.</summary>
internal enum DynamoFault
{
    /// <summary>Not executed; the next one may be.</summary>
    Throttled,

    /// <summary>Not executed, since another transaction was at the same items; the next one may be.</summary>
    Conflict,

    /// <summary>No whole answer: it may have been executed.</summary>
    EffectUnknown,

    /// <summary>There is no such table.</summary>
    NoTable,

    /// <summary>The role may not do this.</summary>
    NotAuthorized,

    /// <summary>None, or none that DynamoDB takes; or the clock is wrong.</summary>
    Credentials,

    /// <summary>Everything else that DynamoDB does not do.</summary>
    Refused,
}

/// <summary>DynamoDB's errors as <see cref="DynamoFault"/>, and in words. Pure.</summary>
/// <remarks>Codes: the DynamoDB API's "Error handling", and "Common errors".</remarks>
internal static class DynamoFaults
{
    // Why a part of a transaction was not done: the DynamoDB API's "TransactWriteItems".
    private const string ThrottledPart = "ThrottlingError";
    private const string ThroughputOfPart = "ProvisionedThroughputExceeded";
    private const string ConflictOfPart = "TransactionConflict";

    /// <summary>Whether it is an answer and no failure: a condition of the caller's does not hold.</summary>
    public static bool IsLostCondition(Exception thrown) => thrown is ConditionalCheckFailedException
        || (thrown is TransactionCanceledException { CancellationReasons: { } reasons } && reasons.Any(reason => reason.Code == "ConditionalCheckFailed"));

    /// <summary>What the SDK threw.</summary>
    public static DynamoFault Of(Exception thrown) => thrown switch
    {
        TransactionCanceledException { CancellationReasons: { Count: > 0 } reasons } => Of(reasons),
        TransactionCanceledException => DynamoFault.Conflict, // It does not say why; it was not executed.
        AmazonServiceException e => Of(e.ErrorCode ?? "", e.StatusCode),
        // Before it sends. The SDK has no type of its own for it, and throws this one for an answer with a wrong checksum too.
        AmazonClientException e when e.Message.Contains("credential", StringComparison.OrdinalIgnoreCase) => DynamoFault.Credentials,
        _ => DynamoFault.EffectUnknown,
    };

    /// <summary>An answer's.</summary>
    /// <param name="code">Empty when the answer had none.</param>
    /// <param name="status">0 when no answer came.</param>
    public static DynamoFault Of(string code, HttpStatusCode status) => code switch
    {
        "ThrottlingException" or "ProvisionedThroughputExceededException" or "RequestLimitExceeded" or "LimitExceededException" or
            ThrottledPart or ThroughputOfPart => DynamoFault.Throttled,
        "TransactionConflictException" or "TransactionInProgressException" or ConflictOfPart => DynamoFault.Conflict,
        "ResourceNotFoundException" => DynamoFault.NoTable,
        "AccessDeniedException" or "AccessDenied" => DynamoFault.NotAuthorized,
        "UnrecognizedClientException" or "InvalidClientTokenId" or "InvalidSignatureException" or "SignatureDoesNotMatch" or "IncompleteSignatureException" or
            "MissingAuthenticationTokenException" or "MissingAuthenticationToken" or "ExpiredTokenException" or "RequestExpired" => DynamoFault.Credentials,
        // A server error, or an answer of something between DynamoDB and us.
        _ when status is 0 or >= HttpStatusCode.InternalServerError => DynamoFault.EffectUnknown,
        _ when status is HttpStatusCode.Unauthorized => DynamoFault.Credentials,
        _ when status is HttpStatusCode.Forbidden => DynamoFault.NotAuthorized,
        _ => DynamoFault.Refused,
    };

    /// <summary>A cancelled transaction's, of which nothing was executed: what cannot pass stands before what may.</summary>
    private static DynamoFault Of(List<CancellationReason> reasons)
    {
        // Others: ValidationError, ItemCollectionSizeLimitExceeded, and what is not known.
        var codes = reasons.Select(reason => reason.Code).Where(code => code is not (null or "None")).ToHashSet();
        return codes.Any(code => code is not (ThrottledPart or ThroughputOfPart or ConflictOfPart)) ? DynamoFault.Refused
            : codes.Any(code => code is ThrottledPart or ThroughputOfPart) ? DynamoFault.Throttled
            : DynamoFault.Conflict;
    }

    /// <summary>Whether the same call again may do better at once.</summary>
    public static bool MayPass(DynamoFault fault) => fault is DynamoFault.Throttled or DynamoFault.Conflict or DynamoFault.EffectUnknown;

    /// <summary>For the caller, when nothing is tried any more.</summary>
    public static StoreException Translate(TableCall call, DynamoFault fault, int sends, Exception thrown) => new(
        $"{call.What}: " + fault switch
        {
            DynamoFault.Throttled =>
                $"DynamoDB throttles table {call.Table} ({sends} sends; {Said(thrown)}). Try again; if it goes on, raise the table's capacity or its on-demand maximum.",
            DynamoFault.Conflict =>
                $"not done: another transaction is at the same items of table {call.Table} ({sends} sends; {Said(thrown)}). Try again; if it goes on, see who else writes to the table.",
            DynamoFault.EffectUnknown =>
                $"not known to have happened: no whole answer from DynamoDB for table {call.Table} ({sends} sends; {Said(thrown)}). Try again; if it goes on, check the way to it (Storage:Region, Storage:ServiceUrl, a VPC endpoint).",
            DynamoFault.NoTable =>
                $"DynamoDB has no table {call.Table} here. `silo ipam tables create` makes it, and so does a silo's start with Storage:CreateTables=true; or correct its name, Storage:Region or Storage:ServiceUrl.",
            DynamoFault.NotAuthorized =>
                $"the silo's role may not dynamodb:{call.Action} on table {call.Table} ({Said(thrown)}). Grant it; docs/iam has all that is needed.",
            DynamoFault.Credentials =>
                $"dynamodb:{call.Action} on table {call.Table}: no credentials that DynamoDB takes ({Said(thrown)}). Give the silo a role, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; check its clock.",
            _ => $"DynamoDB refused dynamodb:{call.Action} on table {call.Table} ({Said(thrown)}).",
        },
        thrown);

    /// <summary>DynamoDB's own words, or the way's.</summary>
    public static string Said(Exception thrown) => thrown switch
    {
        TransactionCanceledException { CancellationReasons: { } reasons } e => string.Join("; ", reasons.Select(reason => reason.Message).Where(message => !string.IsNullOrEmpty(message)).Prepend($"{e.ErrorCode}: {e.Message}")),
        AmazonServiceException { ErrorCode: { Length: > 0 } code } => $"{code}: {thrown.Message}",
        _ => thrown.Message,
    };
}
