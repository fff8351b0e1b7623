namespace AwsVpcCni.Grains.Ec2;

/// <summary>The ways in which EC2 can refuse, by what the caller must do next.</summary>
public enum Ec2Fault
{
    /// <summary>RequestLimitExceeded: not executed; the action's rate falls, try later.</summary>
    Throttled,

    /// <summary>A timeout, a server error, a cut connection: the effect may have happened. Look before anything else.</summary>
    EffectUnknown,

    /// <summary>The subnet has not what was asked for: three codes of EC2 mean this.</summary>
    NoRoom,

    /// <summary>A named address is held elsewhere.</summary>
    AddressTaken,

    /// <summary>The thing is already as it was asked to be, or gone as asked.</summary>
    AlreadySo,

    /// <summary>EC2 knows no such thing, or does not show it yet.</summary>
    NotFound,

    /// <summary>A limit of the instance type or of the account.</summary>
    LimitExceeded,

    /// <summary>IAM denies the call. Surface it: it is not over soon.</summary>
    NotAuthorized,

    /// <summary>The clock or the credentials are wrong.</summary>
    Credentials,

    /// <summary>Refused for good; the message says why.</summary>
    Refused,
}

/// <summary>EC2's refusal, translated once at the border.</summary>
/// <param name="fault">What to do about it.</param>
/// <param name="code">EC2's own code, such as InvalidParameterValue; empty when no answer came.</param>
/// <param name="message">Action, ids, and EC2's own text.</param>
/// <param name="inner">What the SDK threw.</param>
public sealed class Ec2Exception(Ec2Fault fault, string code, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>What to do about it.</summary>
    public Ec2Fault Fault => fault;

    /// <summary>EC2's own code; empty when no answer came.</summary>
    public string Code => code;
}
