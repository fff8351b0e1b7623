using System.Net;
using Amazon.EC2;
using Amazon.Runtime;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Grains.Ec2;

namespace AwsVpcCni.Silo.Ec2;

/// <summary>EC2's error codes, by what the caller must do next. Pure.</summary>
/// <remarks>Codes and texts: the EC2 API's "Error codes"; which text comes with InvalidParameterValue was collected from issue
/// threads of its users, since it is not documented.</remarks>
internal static class Ec2FaultMap
{
    // InvalidParameterValue says everything; only its text tells what.
    private static readonly (string Text, Ec2Fault Fault)[] InvalidValues =
    [
        ("aren't sufficient free", Ec2Fault.NoRoom),
        ("move is not allowed", Ec2Fault.AddressTaken),
        ("secondary-addresses", Ec2Fault.AddressTaken), // The address is some interface's primary one.
        ("already in use", Ec2Fault.AddressTaken),
        ("already assigned", Ec2Fault.AddressTaken),
        ("are not assigned to interface", Ec2Fault.AlreadySo),
        ("already has an interface attached", Ec2Fault.AlreadySo),
    ];

    /// <summary>What to do about a refusal.</summary>
    /// <param name="code">EC2's code; empty when the answer had none.</param>
    /// <param name="status">The HTTP status; 0 when no answer came.</param>
    /// <param name="text">EC2's text.</param>
    public static Ec2Fault Of(string code, HttpStatusCode status, string text) => code switch
    {
        "RequestLimitExceeded" or "EC2ThrottledException" or "Throttling" or "ThrottlingException" => Ec2Fault.Throttled,
        "InsufficientFreeAddressesInSubnet" or "InsufficientCidrBlocks" => Ec2Fault.NoRoom,
        "InvalidIPAddress.InUse" => Ec2Fault.AddressTaken,
        "InvalidParameterValue" => OfInvalidValue(text),
        "ResourceCountExceeded" => Ec2Fault.LimitExceeded,
        "AuthFailure" or "RequestExpired" or "ExpiredToken" or "ExpiredTokenException" or "InvalidClientTokenId" or "SignatureDoesNotMatch" or
            "UnrecognizedClientException" or "MissingAuthenticationToken" or "IncompleteSignature" => Ec2Fault.Credentials,
        "UnauthorizedOperation" or "AccessDenied" or "AccessDeniedException" => Ec2Fault.NotAuthorized,
        _ when code.EndsWith("LimitExceeded", StringComparison.Ordinal) => Ec2Fault.LimitExceeded,
        _ when code.EndsWith(".NotFound", StringComparison.Ordinal) => Ec2Fault.NotFound,
        // A server error, or an answer of something between EC2 and us.
        _ when status is 0 or >= HttpStatusCode.InternalServerError => Ec2Fault.EffectUnknown,
        _ when status is HttpStatusCode.Unauthorized => Ec2Fault.Credentials,
        _ when status is HttpStatusCode.Forbidden => Ec2Fault.NotAuthorized,
        _ => Ec2Fault.Refused,
    };

    /// <summary>What the SDK threw, as the grains know it.</summary>
    /// <param name="about">Ids and addresses of the call.</param>
    public static Ec2Exception Translate(Ec2Action action, string about, Exception thrown) => thrown switch
    {
        AmazonEC2Exception { ErrorCode: { Length: > 0 } code } e =>
            new(Of(code, e.StatusCode, e.Message), code, $"{action} {about}: {code}: {e.Message} (request {e.RequestId})", e),
        AmazonServiceException e =>
            new(Of("", e.StatusCode, e.Message), "", $"{action} {about}: HTTP status {(int)e.StatusCode} without EC2's error code: {e.Message}", e),
        // The SDK throws it before it sends: no credentials, or none that it can read.
        AmazonClientException e =>
            new(Ec2Fault.Credentials, "", $"{action} {about}: not sent: {e.Message} Give the silo AWS credentials (a role, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY).", e),
        _ => new(Ec2Fault.EffectUnknown, "", $"{action} {about}: no whole answer: {thrown.Message}", thrown),
    };

    private static Ec2Fault OfInvalidValue(string text)
    {
        foreach (var (part, fault) in InvalidValues)
        {
            if (text.Contains(part, StringComparison.OrdinalIgnoreCase))
            {
                return fault;
            }
        }

        return Ec2Fault.Refused;
    }
}
