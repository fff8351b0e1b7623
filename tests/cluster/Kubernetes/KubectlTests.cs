using System.Text.RegularExpressions;
using AwsVpcCni.KubeEmulator;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Kubernetes;

/// <summary>kubectl, unmodified, of two releases, against the emulated API server: what people look at, and what the guide has them run. Columns that a server makes (READY, STATUS) are not there: kubectl shows names and ages then.</summary>
public sealed class KubectlTests
{
    private const string Node = """
        {"apiVersion":"v1","kind":"Node","metadata":{"name":"n1","annotations":{"aws-vpc-cni-distributed/max-pods":"29"}},"spec":{"providerID":"aws:///eu-west-1a/i-00000001"},
         "status":{"conditions":[{"type":"Ready","status":"True"},{"type":"PodAddressesUnavailable","status":"True","reason":"NotAuthorized","message":"EC2 refuses it."},{"type":"DiskPressure","status":"False"}]}}
        """;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("3")]
    [InlineData("4")]
    public async Task It_gets_describes_makes_and_deletes(string major)
    {
        await using var kubectl = await Kubectl.StartOrSkipAsync(major);
        kubectl.Api.Put(Node);
        kubectl.Api.PutNode("n2", "i-00000002");
        kubectl.Api.Put("""{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p1","namespace":"default"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"i"}]},"status":{"phase":"Running","podIP":"10.0.0.5"}}""");
        kubectl.Api.Put("""{"apiVersion":"v1","kind":"Event","metadata":{"name":"e1","namespace":"default"},"involvedObject":{"apiVersion":"v1","kind":"Node","name":"n1","uid":"n1"},"reason":"NotAuthorized","message":"EC2 refuses ec2:CreateNetworkInterface.","type":"Warning","count":3,"firstTimestamp":"2026-01-01T00:00:00Z","lastTimestamp":"2026-01-01T00:00:00Z"}""");

        Assert.Matches(@"^n1 .*\nn2 ", await kubectl.SaysAsync("get", "nodes", "--no-headers"));
        Assert.Matches("^default +p1 ", await kubectl.SaysAsync("get", "po", "-A", "--no-headers"));
        Assert.Matches(@"Warning +NotAuthorized +Node/n1 +EC2 refuses ec2:CreateNetworkInterface\.", await kubectl.SaysAsync("events"));
        Assert.Equal("29", await kubectl.SaysAsync("get", "node", "n1", "-o", @"jsonpath={.metadata.annotations.aws-vpc-cni-distributed/max-pods}"));
        var described = await kubectl.SaysAsync("describe", "node", "n1");
        Assert.Matches(@"PodAddressesUnavailable +True .*NotAuthorized +EC2 refuses it\.", described);
        Assert.Matches("default +p1 ", described);
        Assert.Matches(@"Warning +NotAuthorized .*\(x3 over", described);
        Assert.Contains("10.0.0.5", await kubectl.SaysAsync("describe", "pod", "p1"), StringComparison.Ordinal);

        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, """{"apiVersion":"crd.k8s.amazonaws.com/v1alpha1","kind":"ENIConfig","metadata":{"name":"eu-west-1a"},"spec":{"subnet":"subnet-b"}}""", Cancellation);
        await kubectl.SaysAsync("create", "--validate=false", "-f", file); // The emulator has no schema of anything.
        File.Delete(file);
        Assert.Matches("^eu-west-1a ", await kubectl.SaysAsync("get", "eniconfigs", "--no-headers"));
        await kubectl.SaysAsync("patch", "eniconfig", "eu-west-1a", "--type=merge", "-p", """{"spec":{"subnet":"subnet-c"}}""");
        Assert.Equal("subnet-c", await kubectl.SaysAsync("get", "eniconfig", "eu-west-1a", "-o", "jsonpath={.spec.subnet}"));
        await kubectl.SaysAsync("delete", "eniconfig", "eu-west-1a");
        Assert.Contains("No resources found", await kubectl.SaysAsync("get", "eniconfigs"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("3")]
    [InlineData("4")]
    public async Task What_stays_after_an_uninstall_goes_by_the_guides_commands(string major)
    {
        await using var kubectl = await Kubectl.StartOrSkipAsync(major);
        kubectl.Api.Put(Node);
        kubectl.Api.PutNode("n2", "i-00000002"); // It has neither.
        kubectl.Api.Put("""{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"eniconfigs.crd.k8s.amazonaws.com"},"spec":{}}""");
        var guide = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "docs", "install.md"), Cancellation);

        await kubectl.ShellAsync(Regex.Match(guide, @"Once no silo runs.*?```\n(?<commands>.*?)```", RegexOptions.Singleline).Groups["commands"].Value);

        var node = kubectl.Api.Objects.Get(ResourceType.Of("v1", "Node")!, null, "n1")!;
        Assert.Equal(["Ready", "DiskPressure"], node["status"]!["conditions"]!.AsArray().Select(condition => condition!["type"]!.GetValue<string>()));
        Assert.Null(node["metadata"]!["annotations"]?["aws-vpc-cni-distributed/max-pods"]);
        Assert.Contains("No resources found", await kubectl.SaysAsync("get", "crd"), StringComparison.Ordinal);
    }
}
