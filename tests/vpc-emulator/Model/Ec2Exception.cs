namespace AwsVpcCni.VpcEmulator.Model;

/// <summary>EC2's refusal of a call: its code, its text, and the HTTP status that goes with the code.</summary>
public sealed class Ec2Exception(string code, string message) : Exception(message)
{
    /// <summary>EC2's error code, without `Client.` or `Server.` in front.</summary>
    public string Code { get; } = code;

    /// <summary>Whether the caller gets the status only, with a page of HTML.</summary>
    public bool IsHtml { get; init; }

    /// <summary>The HTTP status that EC2 sends with <see cref="Code"/>.</summary>
    public int Status => StatusOf(Code);

    /// <summary>400 unless the code says otherwise.</summary>
    public static int StatusOf(string code) => code switch
    {
        "AuthFailure" => 401,
        "UnauthorizedOperation" => 403,
        "DryRunOperation" => 412,
        "InternalError" or "InternalFailure" => 500,
        "RequestLimitExceeded" or "EC2ThrottledException" or "Unavailable" or "ServiceUnavailable" => 503,
        _ => 400,
    };

    /// <summary>EC2's text for a code that needs no ids.</summary>
    public static string TextOf(string code) => code switch
    {
        "AuthFailure" => "AWS was not able to validate the provided access credentials",
        "UnauthorizedOperation" => "You are not authorized to perform this operation.",
        "DryRunOperation" => "Request would have succeeded, but DryRun flag is set.",
        "RequestLimitExceeded" or "EC2ThrottledException" => "Request limit exceeded.",
        "InternalError" or "InternalFailure" => "An internal error has occurred",
        "Unavailable" or "ServiceUnavailable" => "The service is unavailable. Please try again shortly.",
        "InsufficientFreeAddressesInSubnet" => "The specified subnet does not have enough free addresses to satisfy the request.",
        "InsufficientCidrBlocks" => "The specified subnet does not have enough free cidr blocks to satisfy the request.",
        "PrivateIpAddressLimitExceeded" => "Number of private addresses will exceed limit.",
        "IdempotentParameterMismatch" =>
            "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
        _ => $"The request failed with {code}.",
    };

    internal static Ec2Exception Of(string code) => new(code, TextOf(code));

    internal static Ec2Exception Invalid(string message) => new("InvalidParameterValue", message);

    internal static Ec2Exception NoInterface(string id) =>
        new("InvalidNetworkInterfaceID.NotFound", $"The networkInterface ID '{id}' does not exist");

    internal static Ec2Exception NoInstance(string id) => new("InvalidInstanceID.NotFound", $"The instance ID '{id}' does not exist");

    internal static Ec2Exception NoSubnet(string id) => new("InvalidSubnetID.NotFound", $"The subnet ID '{id}' does not exist");

    internal static Ec2Exception NoVpc(string id) => new("InvalidVpcID.NotFound", $"The vpc ID '{id}' does not exist");

    internal static Ec2Exception NoGroup(string id) => new("InvalidGroup.NotFound", $"The security group '{id}' does not exist");

    internal static Ec2Exception NoAttachment(string id) =>
        new("InvalidAttachmentID.NotFound", $"The interface attachment '{id}' does not exist.");
}
