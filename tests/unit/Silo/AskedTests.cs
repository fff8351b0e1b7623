using AwsVpcCni.Silo.Views;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Silo;

public sealed class AskedTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 29, 14, 2, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("2026-11-29T14:02:00Z", 0)]
    [InlineData("2026-11-29T14:01:00", -1)] // UTC when it names no zone.
    [InlineData("2026-11-29T15:00:00+01:00", -2)]
    public void A_moment_is_read_in_its_zone(string text, int minutes) => Assert.Equal(Now.AddMinutes(minutes), Asked.Moment(text, "--at", Now));

    [Theory]
    [InlineData("2026-11-29T14:02:01Z", "--at 2026-11-29T14:02:01Z has not come yet: it is 2026-11-29T14:02:00Z.")]
    [InlineData("noon", "--at noon is no time such as 2026-11-29T14:02:00Z.")]
    [InlineData("", "--at  is no time such as 2026-11-29T14:02:00Z.")]
    public void What_is_no_moment_or_has_not_come_is_said(string text, string said) =>
        Assert.Equal(said, Assert.Throws<BadQuestionException>(() => Asked.Moment(text, "--at", Now)).Message);

    [Fact]
    public void No_moment_is_none() => Assert.Null(Asked.Moment(null, "--at", Now));

    [Theory]
    [InlineData("10.0.1.17", true)]
    [InlineData("fd00::17", true)]
    [InlineData("FD00:0::17", true)]
    [InlineData("10.1", false)]
    [InlineData("010.0.1.17", false)]
    [InlineData("0x0a000111", false)]
    [InlineData("10.0.1.256", false)]
    [InlineData("10.0.1.17/32", false)]
    [InlineData("", false)]
    public void An_address_is_written_in_full(string text, bool isOne) =>
        Assert.Equal(isOne, Record.Exception(() => Asked.Address(text)) is not BadQuestionException);
}
