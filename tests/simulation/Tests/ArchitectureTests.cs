using System.Reflection;
using System.Runtime.CompilerServices;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.NodeExecutor.Lease;
using Xunit;

namespace AwsVpcCni.Tests.Simulation.Tests;

/// <summary>What is simulated is what is shipped.</summary>
public sealed class ArchitectureTests
{
    private static readonly Assembly[] Shipped = [typeof(NodeGrain).Assembly, typeof(LeaseLink).Assembly, typeof(Core.Addressing.Ip).Assembly];

    [Fact]
    public void No_class_of_the_simulation_stands_in_for_a_shipped_one()
    {
        var own = typeof(World).Assembly.GetTypes();

        Assert.DoesNotContain(own, type => type.BaseType is { } parent && Shipped.Contains(parent.Assembly));
        Assert.DoesNotContain(own, type => typeof(IGrainBase).IsAssignableFrom(type) || typeof(IGrain).IsAssignableFrom(type));
        Assert.All(Shipped[0].GetTypes().Where(type => typeof(IGrainBase).IsAssignableFrom(type)), type => Assert.True(type.IsSealed, type.Name));
    }

    [Fact]
    public void Nothing_is_compiled_for_the_simulation_alone()
    {
        var root = Path.GetFullPath(Path.Combine(Folder(), "..", "..", ".."));
        foreach (var folder in new[] { "grains", "node-executor", "tests/simulation" })
        {
            Assert.All(
                Directory.EnumerateFiles(Path.Combine(root, folder), "*.cs", SearchOption.AllDirectories).Where(file => !file.Contains("/obj/", StringComparison.Ordinal)),
                file => Assert.DoesNotContain(File.ReadLines(file), line => line.TrimStart().StartsWith("#" + "if", StringComparison.Ordinal)));
        }
    }

    private static string Folder([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
