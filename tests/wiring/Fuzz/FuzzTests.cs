using Xunit;

namespace AwsVpcCni.Tests.Wiring.Fuzz;

/// <summary>2,000 broken inputs of each kind, of another seed at each commit: no crash, no hang, no answer but the defined ones, nothing left over. `make fuzz` tries more.</summary>
[Collection(Alone)]
public sealed class FuzzTests
{
    /// <summary>Descriptors are counted: other tests open some.</summary>
    private const string Alone = "fuzz";

    [Theory]
    [InlineData("config")]
    [InlineData("frames")]
    [InlineData("netlink")]
    [InlineData("execs")]
    public async Task Broken_inputs_get_a_defined_answer_and_leave_nothing(string kind)
    {
        var failures = await Fuzzing.TryAsync(kind, Fuzzing.Seed(), 0, 2_000);
        Assert.True(failures.Count == 0, string.Join("\n\n", failures));
    }

    [CollectionDefinition(Alone, DisableParallelization = true)]
    public sealed class OneAtATime;
}
