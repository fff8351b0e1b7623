using AwsVpcCni.KubeletLite;
using AwsVpcCni.Tests.EndToEnd.Harness;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Chart;

/// <summary>The chart as Helm renders it for these tests.</summary>
internal static class Helm
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);
    private static readonly string Folder = Path.Combine(Repository.Root, "artifacts", "helm");

    /// <summary>kubectl, which comes with Helm's newest major.</summary>
    public static string Kubectl => Path.Combine(Folder, "4", "kubectl");

    /// <summary>Skips the test, saying why, where Helm cannot be had.</summary>
    /// <param name="tag">Of both images.</param>
    /// <param name="values">A file beside this one.</param>
    public static async Task<Manifests> RenderOrSkipAsync(string tag, string values = "values.yaml")
    {
        var (fetched, _, why) = await Shell.TryAsync(Patience, Path.Combine(Repository.Root, "scripts", "helm.sh"), Folder);
        Assert.SkipUnless(fetched == 0, $"No Helm: {why.Trim()}");
        return Manifests.Read(await Shell.RunAsync(
            Path.Combine(Folder, "4", "helm"), "template", "cni", Path.Combine(Repository.Root, "charts", "aws-vpc-cni-distributed"), "--namespace", "kube-system",
            "--values", Path.Combine(Repository.Root, "tests", "end-to-end", "Chart", values), "--set", $"silo.image.tag={tag},executor.image.tag={tag}"));
    }
}
