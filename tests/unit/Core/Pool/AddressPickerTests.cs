using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Pool;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Pool;

public sealed class AddressPickerTests
{
    private static readonly TimeSpan Cooldown = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Preferred = TimeSpan.FromSeconds(120);

    private static readonly Gen<FreeAddress> Address = Gen.Select(
        Gen.UInt[0, 50], Gen.Int[0, 2], Gen.Int[-1, 300],
        (ip, eni, rested) => new FreeAddress(new Ip(ip, false), $"eni-{eni}", rested < 0 ? null : TimeSpan.FromSeconds(rested)));

    [Theory]
    [InlineData("10.0.0.2=130 10.0.0.1=40", "10.0.0.2")] // Peers' conntrack remembers for 120 s.
    [InlineData("10.0.0.2=130 10.0.0.1=150", "10.0.0.1")] // Then the longest rested.
    [InlineData("10.0.0.2=130 10.0.0.1=new", "10.0.0.1")] // One that no pod has had is the longest rested.
    [InlineData("10.0.0.2=29 10.0.0.1=10", null)] // Nothing before its time.
    [InlineData("10.0.0.3=40 10.0.0.2=45 10.0.0.1=31", "10.0.0.2")]
    [InlineData("10.0.0.9=new 10.0.0.7=new", "10.0.0.7")]
    [InlineData("", null)]
    public void The_best_rested_address_is_picked(string free, string? picked) =>
        Assert.Equal(picked, Pick([.. free.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Parse)])?.Address.ToString());

    [Fact]
    public void The_fuller_interface_goes_first_so_that_the_other_can_be_given_back()
    {
        FreeAddress[] free = [new(Ip.Parse("10.0.0.1"), "eni-empty", null), new(Ip.Parse("10.0.0.2"), "eni-full", null)];
        Assert.Equal("eni-full", AddressPicker.Pick(free, eni => eni == "eni-full" ? 5 : 0, Cooldown, Preferred)?.EniId);
    }

    [Fact]
    public void The_fuller_prefix_goes_first_and_what_is_to_go_goes_last()
    {
        FreeAddress One(string ip, int onBlock) => new(Ip.Parse(ip), "eni-1", null, onBlock);

        Assert.Equal("10.0.0.40", Pick([One("10.0.0.20", 2), One("10.0.0.40", 3), One("10.0.0.60", 0)])?.Address.ToString());
        Assert.Equal("10.0.0.60", Pick([One("10.0.0.20", -1), One("10.0.0.60", 0)])?.Address.ToString());
        Assert.Equal("10.0.0.20", Pick([One("10.0.0.20", -1)])?.Address.ToString());
    }

    [Fact]
    public void No_address_is_picked_before_it_has_rested() =>
        Address.Array[0, 20].Sample(free => Pick(free) is not { } picked || picked.Rested is null || picked.Rested >= Cooldown);

    [Fact]
    public void Something_is_picked_whenever_something_has_rested() =>
        Address.Array[0, 20].Sample(free => Pick(free) is not null == free.Any(one => one.Rested is null || one.Rested >= Cooldown));

    [Fact]
    public void The_order_of_the_candidates_does_not_matter() =>
        Address.Array[1, 20].Select(free => free.DistinctBy(one => one.Address).ToArray()).Sample(free => Pick(free) == Pick([.. free.Reverse()]));

    private static FreeAddress? Pick(FreeAddress[] free) => AddressPicker.Pick(free, _ => 0, Cooldown, Preferred);

    private static FreeAddress Parse(string text)
    {
        var parts = text.Split('=');
        return new FreeAddress(Ip.Parse(parts[0]), "eni-1", parts[1] == "new" ? null : TimeSpan.FromSeconds(int.Parse(parts[1], null)));
    }
}
