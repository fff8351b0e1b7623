using AwsVpcCni.Core.Instances;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Instances;

public sealed class InstanceFateTests
{
    /// <summary>Looks and words, by minute: `-` not shown, `h` the executor is heard, else EC2's state.</summary>
    [Theory]
    [InlineData("0 terminated", true)]
    [InlineData("0 terminated|1 h", true)] // Sent before the end.
    [InlineData("0 shutting-down", false)]
    [InlineData("0 stopped|9 stopped", false)]
    [InlineData("0 -", false)]
    [InlineData("0 -|1 -", false)]
    [InlineData("0 -|2 -", true)]
    [InlineData("0 -|1 running|2 -", false)]
    [InlineData("0 -|1 h|2 -", false)]
    [InlineData("0 -|1 h|2 -|4 -", true)]
    [InlineData("0 -|2 -|3 h", false)] // It was only not shown.
    [InlineData("9 -|2 -", true)] // A clock that went back.
    public void Gone_is_what_EC2_calls_so_or_has_not_shown_twice_without_a_word_of_its_executor(string seen, bool isGone)
    {
        var fate = default(InstanceFate);
        foreach (var one in seen.Split('|').Select(one => one.Split(' ')))
        {
            var at = DateTimeOffset.UnixEpoch.AddMinutes(int.Parse(one[0], System.Globalization.CultureInfo.InvariantCulture));
            fate = one[1] == "h" ? fate.Heard() : fate.Looked(one[1] == "-" ? null : one[1], at);
        }

        Assert.Equal(isGone, fate.IsGone);
    }
}
