using AwsVpcCni.Core.Instances;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Instances;

public sealed class CarefulLimitsTests
{
    [Fact]
    public void They_promise_no_type_of_the_table_more_than_it_has_and_each_a_pod() => Assert.All(InstanceLimits.All, type =>
    {
        var careful = InstanceLimits.Careful(type.Type);
        Assert.InRange(careful.MaxInterfaces, 1, type.MaxInterfaces);
        Assert.InRange(careful.AddressesPerInterface, 2, type.AddressesPerInterface);
        Assert.False(careful.TakesPrefixes);
    });

    [Theory]
    [InlineData("m99.large", 2, 10)] // A size that the table has.
    [InlineData("m99.96xlarge-flex", 1, 2)] // One that it has not: the least of all.
    [InlineData("m99", 1, 2)]
    public void They_go_by_the_size(string type, int interfaces, int addresses) =>
        Assert.Equal((interfaces, addresses), InstanceLimits.Careful(type) is { } careful ? (careful.MaxInterfaces, careful.AddressesPerInterface) : default);
}
