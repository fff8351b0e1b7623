using System.Collections.Immutable;
using System.Text.Json;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Silo.Views;

/// <summary>How many nodes and labels may have a policy of their own: all are one document, which silos read each five seconds, and each node of the cluster is compared with each label.</summary>
internal static class PolicyBound
{
    /// <summary>Nodes and labels.</summary>
    public const int Most = 200;

    /// <summary>Bytes of their policies as they are stored: an item of DynamoDB has 400 KB, with the switches and the latest changes.</summary>
    public const int MostBytes = 200 * 1024;

    private const string WhatToDo = "Take away those of nodes that are gone or need none (`ipam policy unset --node`, DELETE), or give nodes that are alike a label and one policy (`ipam policy set --label`).";

    /// <summary>Whether the change fits beside what there is. It is for the version that the caller has read, so nobody can add another meanwhile.</summary>
    /// <remarks>Where there is more already, of a build before the bound, what is there can be changed and taken away.</remarks>
    /// <exception cref="BadQuestionException">It does not.</exception>
    public static void Check(ClusterPolicies now, PolicyChange change)
    {
        if (change is not { InstanceId: { } target, Pool: { } pool })
        {
            return; // That of all nodes; or it takes one away.
        }

        var next = now.Nodes.SetItem(target, pool);
        if (next.Count > Most && next.Count > now.Nodes.Count)
        {
            throw new BadQuestionException($"{now.Nodes.Count} nodes and labels have a policy of their own, and more are not kept. {WhatToDo}");
        }

        if (BytesOf(next) is var bytes && bytes > MostBytes && bytes > BytesOf(now.Nodes))
        {
            throw new BadQuestionException($"With this one the policies of nodes and labels would have {bytes / 1024} KB, and {MostBytes / 1024} are kept. {WhatToDo}");
        }
    }

    private static int BytesOf(ImmutableSortedDictionary<string, PoolPolicy> nodes) => JsonSerializer.SerializeToUtf8Bytes(nodes, DocumentJson.Options).Length;
}
