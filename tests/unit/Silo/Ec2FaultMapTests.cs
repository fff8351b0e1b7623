using System.Net;
using Amazon.EC2;
using Amazon.Runtime;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Silo.Ec2;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Silo;

public sealed class Ec2FaultMapTests
{
    [Theory]
    [InlineData("RequestLimitExceeded", 503, "Request limit exceeded.", Ec2Fault.Throttled)]
    [InlineData("EC2ThrottledException", 503, "", Ec2Fault.Throttled)]
    [InlineData("InsufficientFreeAddressesInSubnet", 400, "The specified subnet does not have enough free addresses to satisfy the request.", Ec2Fault.NoRoom)]
    [InlineData("InsufficientCidrBlocks", 400, "The specified subnet does not have enough free cidr blocks to satisfy the request.", Ec2Fault.NoRoom)]
    [InlineData("InvalidParameterValue", 400, "There aren't sufficient free Ipv4 addresses or prefixes", Ec2Fault.NoRoom)]
    [InlineData("InvalidParameterValue", 400, "[10.0.0.5, 10.0.0.6] assigned, but move is not allowed.", Ec2Fault.AddressTaken)]
    [InlineData("InvalidParameterValue", 400, "Invalid value for parameter secondary-addresses", Ec2Fault.AddressTaken)]
    [InlineData("InvalidIPAddress.InUse", 400, "The specified address is already in use.", Ec2Fault.AddressTaken)]
    [InlineData("InvalidParameterValue", 400, "Some of the specified addresses are not assigned to interface eni-1", Ec2Fault.AlreadySo)]
    [InlineData("InvalidParameterValue", 400, "Instance 'i-1' already has an interface attached at device index '1'.", Ec2Fault.AlreadySo)]
    [InlineData("InvalidParameterValue", 400, "Address does not fall within the subnet's address range", Ec2Fault.Refused)]
    [InlineData("InvalidNetworkInterfaceID.NotFound", 400, "The networkInterface ID 'eni-1' does not exist", Ec2Fault.NotFound)]
    [InlineData("InvalidAttachmentID.NotFound", 400, "", Ec2Fault.NotFound)]
    [InlineData("PrivateIpAddressLimitExceeded", 400, "Number of private addresses will exceed limit.", Ec2Fault.LimitExceeded)]
    [InlineData("AttachmentLimitExceeded", 400, "Interface count 4 exceeds the limit for t3.medium", Ec2Fault.LimitExceeded)]
    [InlineData("ResourceCountExceeded", 400, "", Ec2Fault.LimitExceeded)]
    [InlineData("UnauthorizedOperation", 403, "You are not authorized to perform this operation.", Ec2Fault.NotAuthorized)]
    [InlineData("SomeNewDenial", 403, "", Ec2Fault.NotAuthorized)]
    [InlineData("AuthFailure", 401, "", Ec2Fault.Credentials)]
    [InlineData("RequestExpired", 400, "", Ec2Fault.Credentials)]
    [InlineData("SignatureDoesNotMatch", 403, "", Ec2Fault.Credentials)]
    [InlineData("InternalError", 500, "An internal error has occurred", Ec2Fault.EffectUnknown)]
    [InlineData("Unavailable", 503, "", Ec2Fault.EffectUnknown)]
    [InlineData("", 503, "not XML", Ec2Fault.EffectUnknown)] // Something between EC2 and us.
    [InlineData("", 0, "", Ec2Fault.EffectUnknown)]
    [InlineData("IncorrectInstanceState", 400, "", Ec2Fault.Refused)]
    [InlineData("OperationNotPermitted", 400, "", Ec2Fault.Refused)]
    [InlineData("MissingParameter", 400, "", Ec2Fault.Refused)]
    public void A_refusal_is_named_by_what_to_do_next(string code, int status, string text, Ec2Fault fault) =>
        Assert.Equal(fault, Ec2FaultMap.Of(code, (HttpStatusCode)status, text));

    public static TheoryData<Exception, Ec2Fault, string> Thrown => new()
    {
        { new AmazonEC2Exception("Request limit exceeded.", ErrorType.Unknown, "RequestLimitExceeded", "r-1", HttpStatusCode.ServiceUnavailable), Ec2Fault.Throttled, "RequestLimitExceeded" },
        { new AmazonEC2Exception("?", ErrorType.Unknown, null, null, HttpStatusCode.ServiceUnavailable), Ec2Fault.EffectUnknown, "" },
        { new AmazonClientException("Failed to resolve AWS credentials."), Ec2Fault.Credentials, "" },
        { new TimeoutException(), Ec2Fault.EffectUnknown, "" },
        { new TaskCanceledException(), Ec2Fault.EffectUnknown, "" }, // The SDK's own; the caller's is handled before.
        { new HttpIOException(HttpRequestError.ResponseEnded), Ec2Fault.EffectUnknown, "" },
        { new HttpRequestException("refused"), Ec2Fault.EffectUnknown, "" },
    };

    [Theory]
    [MemberData(nameof(Thrown))]
    public void What_the_sdk_throws_is_named_and_kept(Exception thrown, Ec2Fault fault, string code)
    {
        var refusal = Ec2FaultMap.Translate(Ec2Action.AssignPrivateIpAddresses, "eni-1 10.0.0.5", thrown);

        Assert.Equal((fault, code), (refusal.Fault, refusal.Code));
        Assert.StartsWith("AssignPrivateIpAddresses eni-1 10.0.0.5: ", refusal.Message, StringComparison.Ordinal);
        Assert.Same(thrown, refusal.InnerException);
    }
}
