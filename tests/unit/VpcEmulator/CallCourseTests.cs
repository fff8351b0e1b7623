using AwsVpcCni.VpcEmulator.Model;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace AwsVpcCni.Tests.Unit.VpcEmulator;

/// <summary>The ways of a call that goes wrong, as a caller in this process meets them.</summary>
public sealed class CallCourseTests
{
    private readonly TestVpc _test = new();
    private readonly FaultPlan _faults = new(new Random(1));
    private readonly FakeTimeProvider _time = new();

    [Theory]
    [InlineData(FaultMoment.BeforeEffect, false, "InternalError", 1)]
    [InlineData(FaultMoment.AfterEffect, false, "InternalError", 2)]
    [InlineData(FaultMoment.BeforeEffect, true, null, 1)]
    [InlineData(FaultMoment.AfterEffect, true, null, 2)]
    public void A_fault_comes_before_or_after_the_effect_and_tells_or_cuts(FaultMoment moment, bool cut, string? code, int addresses)
    {
        _faults.Add(new Fault { Action = "AssignPrivateIpAddresses", Calls = 1, Moment = moment, Cut = cut, Code = code });
        var answer = Run(Begin());
        Assert.Equal(addresses, _test.Primary.Addresses.Count);
        if (cut)
        {
            Assert.Equal(addresses == 2, Assert.IsType<CallAnswer<int>.Lost>(answer).Untold is CallAnswer<int>.Done);
        }
        else
        {
            Assert.Equal((code, 500), (Assert.IsType<CallAnswer<int>.Refused>(answer).Why.Code, ((CallAnswer<int>.Refused)answer).Why.Status));
        }

        Assert.Equal(1, Assert.IsType<CallAnswer<int>.Done>(Run(Begin())).Value);
    }

    [Theory]
    [InlineData(FaultMoment.BeforeEffect, 8000, 1000)]
    [InlineData(FaultMoment.AfterEffect, 1000, 8000)]
    public void A_slow_call_says_how_long_to_wait_and_when(FaultMoment moment, int beforeMs, int afterMs)
    {
        _faults.Add(new Fault { Action = "*", DelayMs = 7000, Moment = moment });
        var course = Begin(new() { ["AssignPrivateIpAddresses"] = 2000, ["*"] = 10 });
        Assert.Equal((beforeMs, afterMs), (course.BeforeEffect.TotalMilliseconds, course.BeforeAnswer.TotalMilliseconds));
        Assert.Throws<InvalidOperationException>(() => course.Answer);
        Assert.IsType<CallAnswer<int>.Done>(Run(course));
    }

    [Fact]
    public void An_action_without_a_latency_of_its_own_has_the_general_one()
    {
        var calls = new Ec2Calls(new Throttle(_time), _faults, new Dictionary<string, int> { ["CreateTags"] = 5, ["*"] = 7 });
        Assert.Equal((5, 7), (calls.LatencyOf("CreateTags").TotalMilliseconds, calls.LatencyOf("DeleteTags").TotalMilliseconds));
    }

    [Fact]
    public void An_empty_bucket_refuses_without_effect_and_without_using_up_a_fault()
    {
        _faults.Add(new Fault { Action = "*", Calls = 1, Code = "InternalError" });
        var calls = new Ec2Calls(new Throttle(_time, new Dictionary<string, BucketSize> { ["CreateTags"] = new(0.5, 1) }), _faults);
        var course = calls.Begin("CreateTags", false, Assign);
        Assert.Equal("RequestLimitExceeded", Assert.IsType<CallAnswer<int>.Refused>(Run(course)).Why.Code);
        Assert.Single(_test.Primary.Addresses);
        Assert.Single(_faults.Faults);
    }

    [Fact]
    public void EC2s_own_refusal_is_an_answer_and_is_lost_as_others_are()
    {
        Assert.Equal("InvalidParameterValue", Assert.IsType<CallAnswer<int>.Refused>(Run(Begin(effect: Wrong))).Why.Code);
        _faults.Add(new Fault { Action = "*", Calls = 1, Cut = true, Moment = FaultMoment.AfterEffect });
        Assert.IsType<CallAnswer<int>.Refused>(Assert.IsType<CallAnswer<int>.Lost>(Run(Begin(effect: Wrong))).Untold);
    }

    [Fact]
    public void A_call_has_its_effect_once()
    {
        var course = Begin();
        course.TakeEffect(_test.Vpc);
        course.TakeEffect(_test.Vpc);
        Assert.Equal(2, _test.Primary.Addresses.Count);
    }

    private CallCourse<int> Begin(Dictionary<string, int>? latencyMs = null, Func<Vpc, int>? effect = null) =>
        new Ec2Calls(new Throttle(_time), _faults, latencyMs).Begin("AssignPrivateIpAddresses", false, effect ?? Assign);

    private int Assign(Vpc vpc) => vpc.AssignPrivateIpAddresses(_test.Primary.Id, 1).Count;

    private int Wrong(Vpc vpc) => vpc.AssignPrivateIpAddresses(_test.Primary.Id, TestVpc.Ips("10.0.1.0"), false).Count;

    private CallAnswer<int> Run(CallCourse<int> course)
    {
        course.TakeEffect(_test.Vpc);
        return course.Answer;
    }
}
