using System.Text.Json.Serialization;

namespace AwsVpcCni.VpcEmulator.Model;

/// <summary>A way in which calls of one action go wrong.</summary>
public sealed record Fault
{
    /// <summary>EC2's name of the action; `*`: any.</summary>
    public required string Action { get; init; }

    /// <summary>How many calls it hits before it ends. Null: it stays.</summary>
    public int? Calls { get; init; }

    /// <summary>The share of calls that it hits, 0 to 1.</summary>
    public double Rate { get; init; } = 1;

    /// <summary>Answer with this error. `UnauthorizedOperation` is IAM's refusal. Null: no error.</summary>
    public string? Code { get; init; }

    /// <summary>Null: EC2's text for the code.</summary>
    public string? Message { get; init; }

    /// <summary>Whether the error is a page of HTML, as from something in between: the SDK finds no code in it.</summary>
    public bool Html { get; init; }

    /// <summary>Whether the call has its effect before it goes wrong.</summary>
    public FaultMoment Moment { get; init; }

    /// <summary>The caller gets no answer. Over HTTP: after the effect the connection is cut in the middle of the answer, before it without one.</summary>
    public bool Cut { get; init; }

    /// <summary>Wait at <see cref="Moment"/>, then go on.</summary>
    public int DelayMs { get; init; }
}

[JsonConverter(typeof(JsonStringEnumConverter<FaultMoment>))]
public enum FaultMoment
{
    BeforeEffect,
    AfterEffect,
}

/// <summary>The faults that are switched on, in the order in which they came. A call meets the first that hits it.</summary>
public sealed class FaultPlan(Random random)
{
    private readonly List<(Fault Fault, int Left)> _faults = [];

    public IEnumerable<Fault> Faults => _faults.Select(entry => entry.Fault);

    /// <exception cref="ArgumentException">The fault cannot be meant.</exception>
    public void Add(Fault fault)
    {
        if (fault.Calls is < 1 || fault.Rate is not (> 0 and <= 1) || fault.DelayMs is < 0 or > 600_000
            || (fault.Code is null && (fault.Html || (!fault.Cut && fault.DelayMs == 0))))
        {
            throw new ArgumentException(
                $"fault for {fault.Action}: calls at least 1, rate above 0 and up to 1, delayMs 0 to 600000, one of code, cut, delayMs, and html only with a code.", nameof(fault));
        }

        _faults.Add((fault, fault.Calls ?? int.MaxValue));
    }

    public void Clear() => _faults.Clear();

    /// <summary>Decides about one call, and counts it.</summary>
    /// <returns>Null: it goes well.</returns>
    public Fault? Next(string action)
    {
        for (var i = 0; i < _faults.Count; i++)
        {
            var (fault, left) = _faults[i];
            if ((fault.Action != "*" && fault.Action != action) || (fault.Rate < 1 && random.NextDouble() >= fault.Rate))
            {
                continue;
            }

            if (fault.Calls is null)
            {
                return fault;
            }

            if (left == 1)
            {
                _faults.RemoveAt(i);
            }
            else
            {
                _faults[i] = (fault, left - 1);
            }

            return fault;
        }

        return null;
    }
}
