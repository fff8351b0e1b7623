using System.Runtime.CompilerServices;
using System.Xml.Linq;
using Xunit;

namespace AwsVpcCni.Tests.Unit;

/// <summary>Who may refer to whom, read from the project files (docs/architecture.md).</summary>
public sealed class ArchitectureTests
{
    private static readonly string Root = Path.GetFullPath(Path.Combine(Folder(), "..", ".."));

    [Theory]
    [InlineData("cni-plugin/protocol/AwsVpcCni.CniProtocol.csproj", "")]
    [InlineData("cni-plugin/AwsVpcCni.CniPlugin.csproj", "cni-plugin/protocol/AwsVpcCni.CniProtocol.csproj")]
    [InlineData("grains/core/AwsVpcCni.Core.csproj", "")]
    [InlineData("grains/AwsVpcCni.Grains.csproj", "grains/core/AwsVpcCni.Core.csproj")]
    [InlineData("node-executor/AwsVpcCni.NodeExecutor.csproj", "cni-plugin/protocol/AwsVpcCni.CniProtocol.csproj grains/core/AwsVpcCni.Core.csproj")]
    [InlineData("silo/AwsVpcCni.Silo.csproj", "grains/AwsVpcCni.Grains.csproj")]
    [InlineData("tests/vpc-emulator/AwsVpcCni.VpcEmulator.csproj", "")] // Shared code would share its mistakes.
    [InlineData("tests/kube-emulator/AwsVpcCni.KubeEmulator.csproj", "")]
    [InlineData("tests/kubelet-lite/AwsVpcCni.KubeletLite.csproj", "")]
    public void A_project_refers_only_to_those_below_it(string project, string allowed) =>
        Assert.Equal(allowed.Split(' ', StringSplitOptions.RemoveEmptyEntries).Order(), References(project, "ProjectReference")
            .Select(reference => Path.GetRelativePath(Root, Path.GetFullPath(Path.Combine(Root, Path.GetDirectoryName(project)!, reference)))).Order());

    [Theory]
    [InlineData("cni-plugin/AwsVpcCni.CniPlugin.csproj")]
    [InlineData("cni-plugin/protocol/AwsVpcCni.CniProtocol.csproj")]
    [InlineData("grains/core/AwsVpcCni.Core.csproj")]
    public void Core_plugin_and_protocol_have_no_package(string project) => Assert.Empty(References(project, "PackageReference"));

    [Fact]
    public void Only_the_silo_knows_AWS() =>
        Assert.All(Projects().Where(project => References(project, "PackageReference").Any(package => package.StartsWith("AWSSDK", StringComparison.Ordinal))),
            project => Assert.Equal("silo/AwsVpcCni.Silo.csproj", project));

    [Fact]
    public void No_node_ships_Orleans() =>
        Assert.DoesNotContain(References("node-executor/AwsVpcCni.NodeExecutor.csproj", "PackageReference"), package => package.Contains("Orleans", StringComparison.Ordinal));

    [Fact]
    public void There_are_six_product_projects() => // A seventh needs an ADR.
        Assert.Equal(6, Projects().Count(project => !project.StartsWith("tests/", StringComparison.Ordinal)));

    [Fact]
    public void The_solution_has_every_project()
    {
        var solution = File.ReadAllText(Path.Combine(Root, "AwsVpcCni.Distributed.sln")).Replace('\\', '/');
        Assert.All(Projects(), project => Assert.Contains(project, solution, StringComparison.Ordinal));
    }

    private static string[] Projects() => [.. new[] { "silo", "node-executor", "cni-plugin", "grains", "tests" }
        .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(Root, folder), "*.csproj", SearchOption.AllDirectories)).Select(path => Path.GetRelativePath(Root, path))];

    private static IEnumerable<string> References(string project, string kind) =>
        XDocument.Load(Path.Combine(Root, project)).Descendants(kind).Select(element => element.Attribute("Include")!.Value.Replace('\\', '/'));

    private static string Folder([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
