namespace AwsVpcCni.VpcEmulator.Model;

/// <summary>The course of one call, decided when it arrives: how long until its effect, whether it has one, how long until its answer, and
/// what that is.</summary>
/// <remarks>No time passes in here. The caller waits <see cref="BeforeEffect"/> by its own clock, has the effect take place, waits
/// <see cref="BeforeAnswer"/>, and reads the answer. So the HTTP door and a simulation in virtual time meet the same faults.</remarks>
public sealed class CallCourse<T>
{
    private readonly Fault? _fault;
    private readonly Func<Vpc, T> _effect;
    private CallAnswer<T>? _answer;

    /// <param name="fault">Null: the call goes well.</param>
    /// <param name="latency">What every call of its action takes.</param>
    /// <param name="effect">What the call does. Its result must not be a part of the model, unless the reader is alone with it.</param>
    public CallCourse(Fault? fault, TimeSpan latency, Func<Vpc, T> effect)
    {
        (_fault, _effect) = (fault, effect);
        var delay = TimeSpan.FromMilliseconds(fault?.DelayMs ?? 0);
        var before = fault is { Moment: FaultMoment.BeforeEffect };
        BeforeEffect = (latency / 2) + (before ? delay : TimeSpan.Zero);
        BeforeAnswer = (latency / 2) + (before ? TimeSpan.Zero : delay);
    }

    private CallCourse(Ec2Exception refusal)
    {
        _effect = _ => throw refusal;
        _answer = new CallAnswer<T>.Refused(refusal);
    }

    public TimeSpan BeforeEffect { get; }

    public TimeSpan BeforeAnswer { get; }

    /// <summary>What the caller gets to know.</summary>
    /// <exception cref="InvalidOperationException">The effect has not taken place.</exception>
    public CallAnswer<T> Answer => _answer ?? throw new InvalidOperationException("The call has not had its effect. Call TakeEffect first.");

    /// <summary>Does what the call is to do, or refuses it, or does nothing because it gets lost on its way. Only the first time.</summary>
    public void TakeEffect(Vpc vpc) => _answer ??= _fault switch
    {
        { Moment: FaultMoment.BeforeEffect, Cut: true } => new CallAnswer<T>.Lost(null),
        { Moment: FaultMoment.BeforeEffect, Code: { } code } => Refusal(code),
        { Cut: true } => new CallAnswer<T>.Lost(Run(vpc)),
        { Code: { } code } => After(Run(vpc), Refusal(code)),
        _ => Run(vpc),
    };

    internal static CallCourse<T> RefusedAtOnce(Ec2Exception refusal) => new(refusal);

    private CallAnswer<T> Run(Vpc vpc)
    {
        try
        {
            return new CallAnswer<T>.Done(_effect(vpc));
        }
        catch (Ec2Exception e)
        {
            return new CallAnswer<T>.Refused(e);
        }
    }

    private CallAnswer<T>.Refused Refusal(string code) => new(new Ec2Exception(code, _fault!.Message ?? Ec2Exception.TextOf(code)) { IsHtml = _fault.Html });

    private static CallAnswer<T> After(CallAnswer<T> _, CallAnswer<T> told) => told;
}

/// <summary>How a call ends. Closed: nobody outside can add a case.</summary>
public abstract record CallAnswer<T>
{
    private CallAnswer() { }

    public sealed record Done(T Value) : CallAnswer<T>;

    /// <param name="Why">By its code it may have come after the effect: InternalError, Unavailable.</param>
    public sealed record Refused(Ec2Exception Why) : CallAnswer<T>;

    /// <summary>The connection is gone; the caller knows nothing.</summary>
    /// <param name="Untold">How the call has ended at EC2. Null: it has not got there.</param>
    public sealed record Lost(CallAnswer<T>? Untold) : CallAnswer<T>;
}
