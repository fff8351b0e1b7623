using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Unit.VpcEmulator;

public sealed class FaultPlanTests
{
    private readonly FaultPlan _plan = new(new Random(1));

    [Fact]
    public void A_counted_fault_hits_so_many_calls_of_its_action_and_ends()
    {
        _plan.Add(new Fault { Action = "CreateTags", Calls = 2, Code = "InternalError" });
        Assert.Null(_plan.Next("DeleteTags"));
        Assert.NotNull(_plan.Next("CreateTags"));
        Assert.NotNull(_plan.Next("CreateTags"));
        Assert.Null(_plan.Next("CreateTags"));
        Assert.Empty(_plan.Faults);
    }

    [Fact]
    public void Faults_queue_up_and_a_star_hits_any_action()
    {
        _plan.Add(new Fault { Action = "*", Calls = 1, Code = "InternalError" });
        _plan.Add(new Fault { Action = "CreateTags", Code = "Unavailable" });
        Assert.Equal("InternalError", _plan.Next("CreateTags")!.Code);
        Assert.Equal("Unavailable", _plan.Next("CreateTags")!.Code);
        _plan.Clear();
        Assert.Null(_plan.Next("CreateTags"));
    }

    [Fact]
    public void A_rate_hits_its_share_of_calls()
    {
        _plan.Add(new Fault { Action = "CreateTags", Rate = 0.25, Code = "InternalError" });
        Assert.InRange(Enumerable.Range(0, 2000).Count(_ => _plan.Next("CreateTags") is not null), 400, 600);
    }

    [Fact]
    public void A_fault_that_does_nothing_is_refused() =>
        Assert.Throws<ArgumentException>(() => _plan.Add(new Fault { Action = "CreateTags" }));
}
