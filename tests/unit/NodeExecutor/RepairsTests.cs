using AwsVpcCni.NodeExecutor;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace AwsVpcCni.Tests.Unit.NodeExecutor;

public sealed class RepairsTests
{
    [Fact]
    public void Each_kind_is_counted_for_itself_with_its_last_time()
    {
        var time = new FakeTimeProvider();
        var repairs = new Repairs(time, NullLogger.Instance);
        repairs.Made(RepairKind.Table, "replace table x");
        time.Advance(TimeSpan.FromSeconds(5));
        repairs.Made(RepairKind.Table, "replace table x");
        repairs.Made(RepairKind.Link, "set eth1 up");
        time.Advance(TimeSpan.FromSeconds(2));

        var counts = repairs.Counts();
        Assert.Equal(Enum.GetValues<RepairKind>(), counts.Select(one => one.Kind));
        Assert.Equal([(RepairKind.Table, 2, TimeSpan.FromSeconds(2)), (RepairKind.Link, 1L, TimeSpan.FromSeconds(2))],
            counts.Where(one => one.Count > 0).Select(one => (one.Kind, one.Count, one.Ago!.Value)));
        Assert.All(counts.Where(one => one.Count == 0), one => Assert.Null(one.Ago));
    }
}
