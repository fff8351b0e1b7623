namespace AwsVpcCni.Tests.EndToEnd.Harness;

/// <summary>Where the repository and its published programs are.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    /// <summary>Path of a program that `make publish` has built.</summary>
    public static string Artifact(string folder, string program)
    {
        var path = Path.Combine(Root, "artifacts", folder, program);
        return File.Exists(path) ? path : throw new FileNotFoundException($"{path} is not there. Run: make publish", path);
    }

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "AwsVpcCni.Distributed.sln")))
            {
                return folder.FullName;
            }
        }

        throw new DirectoryNotFoundException($"No AwsVpcCni.Distributed.sln above {AppContext.BaseDirectory}.");
    }
}
