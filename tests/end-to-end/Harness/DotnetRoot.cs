using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace AwsVpcCni.Tests.EndToEnd.Harness;

/// <summary>Where this process's .NET is, for programs that need it and get no environment of ours.</summary>
internal static class DotnetRoot
{
    /// <summary>DOTNET_ROOT, which a program looks at before the machine's default place.</summary>
    public static ImmutableDictionary<string, string> Environment { get; } = ImmutableDictionary<string, string>.Empty
        .Add("DOTNET_ROOT", Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..")));
}
