using System.Text.Json;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Charts;

/// <summary>What Grafana would not say of a dashboard file until somebody looks at it.</summary>
public sealed class DashboardTests
{
    [Fact]
    public void Panels_have_ids_of_their_own_a_title_and_a_word_on_what_they_show()
    {
        Assert.NotEmpty(ChartFiles.Dashboards);
        Assert.All(ChartFiles.Dashboards, dashboard =>
        {
            var ids = dashboard.GetProperty("panels").EnumerateArray().Select(panel => panel.GetProperty("id").GetInt32()).ToArray();
            Assert.Equal(ids.Distinct(), ids);
        });
        Assert.All(ChartFiles.Panels, panel => Assert.False(string.IsNullOrWhiteSpace(panel.GetProperty("title").GetString())));
        Assert.All(ChartFiles.Panels.Where(IsNoRow), panel => Assert.False(string.IsNullOrWhiteSpace(panel.GetProperty("description").GetString()), panel.GetProperty("title").GetString()));
    }

    [Fact]
    public void Each_panel_asks_the_data_source_that_is_chosen() => Assert.All(ChartFiles.Panels.Where(IsNoRow), panel =>
    {
        var targets = panel.GetProperty("targets").EnumerateArray().ToArray();
        Assert.NotEmpty(targets);
        Assert.Equal(targets.Select(target => target.GetProperty("refId").GetString()).Distinct().Count(), targets.Length);
        Assert.All(targets.Append(panel), one => Assert.Equal("${datasource}", one.GetProperty("datasource").GetProperty("uid").GetString()));
    });

    [Fact]
    public void No_panel_lies_on_another_or_beside_the_page()
    {
        foreach (var dashboard in ChartFiles.Dashboards)
        {
            var places = dashboard.GetProperty("panels").EnumerateArray().Select(Place).ToArray();
            Assert.All(places, place => Assert.True(place is { X: >= 0, Width: > 0, Height: > 0 } && place.X + place.Width <= 24));
            var cells = places.SelectMany(place => from x in Enumerable.Range(place.X, place.Width) from y in Enumerable.Range(place.Y, place.Height) select (x, y)).ToArray();
            Assert.Equal(cells.Length, cells.Distinct().Count());
        }
    }

    private static bool IsNoRow(JsonElement panel) => panel.GetProperty("type").GetString() != "row";

    private static (int X, int Y, int Width, int Height) Place(JsonElement panel)
    {
        var at = panel.GetProperty("gridPos");
        return (Of("x"), Of("y"), Of("w"), Of("h"));

        int Of(string name) => at.GetProperty(name).GetInt32();
    }
}
