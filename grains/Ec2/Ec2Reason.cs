using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Ec2Quota;

namespace AwsVpcCni.Grains.Ec2;

/// <summary>EC2's refusal in the words of a pod's reason: which action, for what, and what to do. Pure.</summary>
internal static class Ec2Reason
{
    private const int LongestText = 400; // It goes into a pod's event, beside other text; EC2's encoded authorisation message alone is longer.
    private const string Encoded = "Encoded authorization failure message";

    /// <param name="what">Who wanted what, such as "i-1: 4 addresses for eni-1".</param>
    public static Reason Of(string what, Ec2Action action, Ec2Exception refusal) => refusal.Fault switch
    {
        Ec2Fault.NotAuthorized => new Reason(ReasonCode.NotAuthorized, $"{what}: the silo's role may not call ec2:{action}. Give it that permission. {Short(refusal.Message)}"),
        Ec2Fault.Credentials => new Reason(ReasonCode.NotAuthorized, $"{what}: EC2 does not take the silo's credentials or its clock for {action}. Mend them. {Short(refusal.Message)}"),
        Ec2Fault.Throttled => new Reason(ReasonCode.Throttled, $"{what}: EC2 throttles {action}, for all of the account. {Short(refusal.Message)}"),
        Ec2Fault.EffectUnknown => new Reason(ReasonCode.Ec2Refused, $"{what}: EC2 gave no whole answer to {action}. {Short(refusal.Message)}"),
        _ => new Reason(ReasonCode.Ec2Refused, $"{what}: EC2 refused {action}. {Short(refusal.Message)}"),
    };

    /// <summary>What EC2 said, as far as a person can use it.</summary>
    public static string Short(string text)
    {
        var end = text.IndexOf(Encoded, StringComparison.OrdinalIgnoreCase) is >= 0 and var at ? at : text.Length;
        return text[..Math.Min(end, LongestText)].TrimEnd();
    }
}
