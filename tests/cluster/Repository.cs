using System.Text.Json.Nodes;

namespace AwsVpcCni.Tests.Cluster;

/// <summary>Files of the repository.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    public static string Ec2Policy { get; } = Path.Combine(Root, "docs", "iam", "ec2.json");

    public static string DynamoDbPolicy { get; } = Path.Combine(Root, "docs", "iam", "dynamodb.json");

    public static string DynamoDbMovePolicy { get; } = Path.Combine(Root, "docs", "iam", "dynamodb-move.json");

    public static string DynamoDbEdgePolicy { get; } = Path.Combine(Root, "docs", "iam", "dynamodb-edge.json");

    /// <summary>A copy of a policy without one statement; the caller deletes it.</summary>
    public static string PolicyWithout(string path, string sid)
    {
        var document = JsonNode.Parse(File.ReadAllText(path))!;
        var statements = document["Statement"]!.AsArray();
        statements.Remove(statements.Single(statement => (string)statement!["Sid"]! == sid));
        var copy = Path.GetTempFileName();
        File.WriteAllText(copy, document.ToJsonString());
        return copy;
    }

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "AwsVpcCni.Distributed.sln")))
        {
            folder = folder.Parent ?? throw new DirectoryNotFoundException($"No AwsVpcCni.Distributed.sln above {AppContext.BaseDirectory}.");
        }

        return folder.FullName;
    }
}
