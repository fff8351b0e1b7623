using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.Grains.Node;

/// <content>What is not done, and what is kept, because the store may be older than the node (ADR 0010).</content>
public sealed partial class NodeGrain
{
    /// <summary>Until the executor has reported, the document may be one of an older store (ADR 0010): nothing is done to EC2 on its word, and its lease
    /// version stays, which would show that. Nobody reports for an instance that has ended.</summary>
    private bool IsHeld => _report is null && !_isEnded;

    /// <summary>The executor has consented before it was stored. Should the last report say otherwise all the same, the next one decides. What another
    /// interface of the node has by now is of that one.</summary>
    private bool TakesWhatIsUsed(Intent intent) => intent.Kind is IntentKind.Return or IntentKind.RemoveInterface && !_isEnded && _report is { } report && Kept(report) is var kept
        && intent.Names.Any(name => name.Addresses.Any(address => kept.Contains(address) && (EniOf(address)?.EniId ?? intent.EniId) == intent.EniId));

    /// <summary>What the executor has in its lease, or on pods.</summary>
    private static HashSet<Ip> Kept(NodeReport report) => [.. report.Leased, .. report.Claims.Select(claim => claim.Address)];

    private static ImmutableArray<Block> NotIn(HashSet<Ip> kept, IEnumerable<EniDocument> interfaces) =>
        [.. from eni in interfaces from held in eni.Blocks where !held.Block.Addresses.Any(kept.Contains) select held.Block];

    /// <summary>With what the executor has and EC2 does not show, because hands have taken it or the look lags behind: asked back at once, else it would
    /// never leave the lease.</summary>
    private static ImmutableArray<EniDocument> WithNotShown(ImmutableArray<EniDocument> interfaces, NodeReport report, long version)
    {
        var claims = report.Claims.DistinctBy(claim => claim.Address).ToDictionary(claim => claim.Address, claim => claim.EniId);
        foreach (var address in Kept(report).Except(interfaces.SelectMany(eni => eni.Addresses).Select(held => held.Address)).Order())
        {
            var eni = interfaces.FirstOrDefault(eni => eni.EniId == claims.GetValueOrDefault(address)) ?? interfaces.FirstOrDefault(eni => eni.SubnetCidr.Contains(address)) ?? interfaces[0];
            var isLost = claims.GetValueOrDefault(address) != eni.EniId; // Its interface is not shown, or not known: no pod may be offered it on this one.
            interfaces = interfaces.Replace(eni, eni with { Blocks = [.. eni.Blocks.Append(new HeldBlock(new Block(address), version, isLost)).OrderBy(held => held.Block)] });
        }

        return interfaces;
    }
}
