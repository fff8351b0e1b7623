using Microsoft.AspNetCore.Http.Metadata;

namespace AwsVpcCni.Silo.NodeApi;

/// <summary>What the bodies of a call may be, and how many of a node are read at once: what one node that floods can hold of the memory of a silo is bounded by it.</summary>
/// <param name="MaxRequestBodySize">Bytes.</param>
/// <param name="AtOnce">From one node.</param>
internal sealed record Bodies(long? MaxRequestBodySize, int AtOnce) : IRequestSizeLimitMetadata
{
    /// <summary>An executor syncs one at a time, and hangs up before it sends the next.</summary>
    public const int SyncsAtOnce = 2;

    /// <summary>A report at all its bounds (10,000 ended assignments, 1,000 waiting ADDs, as many claims) with the longest names that Kubernetes allows has
    /// 8.5 MB, measured by <c>NodeApiTests</c>.</summary>
    public static readonly Bodies OfSyncs = new(12 << 20, SyncsAtOnce);

    /// <summary>An ADD with each of 1,000 addresses refused has some 70 kB; an executor has 1,000 ADDs and a release under way at most (<c>NodeLease.MaxAdds</c>).</summary>
    public static readonly Bodies OfOtherCalls = new(128 << 10, 1100);
}
