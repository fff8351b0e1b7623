using Xunit;

namespace AwsVpcCni.Tests.Chart;

/// <summary>What Helm makes of the chart, of whichever major, is what is stored; so a change of it is seen in review.</summary>
public sealed class RenderingTests
{
    private const string Regenerate = "CHART_REGENERATE";

    public static TheoryData<string, string> All => [.. from set in Repository.Sets from major in Helm.Majors select (set, major)];

    [Theory]
    [MemberData(nameof(All))]
    public async Task The_linter_has_no_complaint(string set, string major)
    {
        var (exitCode, said) = await Helm.RunOrSkipAsync(major, "lint", "--strict", "charts/aws-vpc-cni-distributed", "--values", Repository.Values(set));
        Assert.True(exitCode == 0, said);
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task Helm_renders_what_is_stored(string set, string major)
    {
        var (exitCode, said) = await Helm.RunOrSkipAsync(major, "template", "cni", "charts/aws-vpc-cni-distributed", "--namespace", "kube-system", "--values", Repository.Values(set));
        Assert.True(exitCode == 0, said);
        if (Environment.GetEnvironmentVariable(Regenerate) is not null)
        {
            await File.WriteAllTextAsync(Repository.Rendering(set), said, TestContext.Current.CancellationToken);
        }

        Assert.True(await File.ReadAllTextAsync(Repository.Rendering(set), TestContext.Current.CancellationToken) == said, $"tests/chart/renderings/{set}.yaml is not what Helm {major} renders. Write it anew: {Regenerate}=1 make chart-lint, then look at git diff.");
    }
}
