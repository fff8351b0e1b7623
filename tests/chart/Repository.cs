using System.Runtime.CompilerServices;

namespace AwsVpcCni.Tests.Chart;

/// <summary>Where things are in the clone that these tests were built from.</summary>
internal static class Repository
{
    public static string Root { get; } = Path.GetFullPath(Path.Combine(Here(), "..", ".."));

    /// <summary>The sets of values that are rendered.</summary>
    public static string[] Sets { get; } = [.. Directory.EnumerateFiles(Path.Combine(Root, "tests", "chart", "values"), "*.yaml").Select(path => Path.GetFileNameWithoutExtension(path)).Order(StringComparer.Ordinal)];

    public static string Values(string set) => Path.Combine(Root, "tests", "chart", "values", set + ".yaml");

    public static string Rendering(string set) => Path.Combine(Root, "tests", "chart", "renderings", set + ".yaml");

    private static string Here([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
