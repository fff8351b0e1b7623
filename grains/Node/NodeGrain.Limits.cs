using AwsVpcCni.Grains.Ec2;

namespace AwsVpcCni.Grains.Node;

/// <content>What EC2 allows, where that is less than the type's description says, and how often it is asked again for what it has refused.</content>
public sealed partial class NodeGrain
{
    private const int OnTheHostNetwork = 2; // As in the reference's formula for max-pods.
    private const int DrawTries = 6; // By their waits about a minute: longer than any state of EC2 that passes by itself.
    private static readonly TimeSpan FirstAgain = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan LongestAgain = TimeSpan.FromHours(6);
    private static readonly TimeSpan DrawsRest = TimeSpan.FromMinutes(2);

    private readonly Dictionary<string, DateTimeOffset> _restsUntil = new(StringComparer.Ordinal); // Interfaces for which EC2 refuses every draw.
    private DateTimeOffset _noNewBefore = DateTimeOffset.MinValue; // EC2 has refused to make one.
    private int _notMade; // In a row.

    private int MaxPodsAt(DateTimeOffset now) => CapacityAt(now) + OnTheHostNetwork;

    /// <summary>Addresses for pods, of all interfaces that there may be.</summary>
    private int CapacityAt(DateTimeOffset now)
    {
        var forPods = _doc.Interfaces.Where(eni => !IsExcluded(eni) && !IsPrimaryOfCustom(eni)).Sum(eni => _doc.SlotsOf(eni.EniId, now));
        var more = Math.Max(0, Math.Min(_doc.InterfacesAllowed(now), Policy.MaxEnis ?? int.MaxValue) - _doc.ForeignDevices.Length - _doc.Interfaces.Length);
        return (forPods + (more * _doc.Slots)) * (Policy.Prefixes && TakesPrefixes ? Core.Addressing.Block.PrefixSize : 1);
    }

    /// <summary>Why the capacity is not what the table says of the type; null when it is.</summary>
    private string? LimitsText()
    {
        string[] notes = [.. _doc.LimitsNote is { } guess ? (string[])[guess] : [], .. _doc.Learned.Select(limit => limit.Why)];
        return notes.Length == 0 ? null : string.Join(' ', notes);
    }

    /// <summary>Remembered in the document, so that neither this activation nor the next asks for it in a loop; and asked again at longer and
    /// longer intervals, since someone else may have taken the room, or EC2 may allow more one day.</summary>
    private NodeDocument WithRefused(NodeDocument document, string eniId, int most, string why)
    {
        var again = document.LimitOf(eniId) is { } before ? before.Again * 2 : FirstAgain;
        LogLimit(InstanceId, why);
        return document.WithLearned(eniId, new LearnedLimit(eniId, most, time.GetUtcNow(), again < LongestAgain ? again : LongestAgain, why));
    }

    /// <summary>EC2 allows no such draw: half as many at once, and in the end the interface has no room. What fits is found in a few calls.</summary>
    private async Task NoMoreFitAsync(Intent intent, Ec2Exception refusal)
    {
        _largestDraw = Math.Max(1, intent.Count / 2);
        if (intent.Count == 1 && _doc.Eni(intent.EniId) is { } eni)
        {
            _doc = WithRefused(_doc, intent.EniId, eni.Blocks.Length,
                $"EC2 allows {intent.EniId} no more than the {eni.Blocks.Length} of {_doc.Slots} slots that it has: someone else uses it, or {_doc.InstanceType} has fewer. {Ec2Reason.Short(refusal.Message)}");
        }

        await DropAsync(intent, []);
    }

    /// <summary>EC2 refuses a draw, and not for want of room. Its answer says that this try has had no effect (ec2.md section 4: a 4xx that is none
    /// of the "already" ones), and what it names may pass by itself: a NotFound soon after the interface was made, an instance that is stopping.
    /// So the same names are tried again for a minute. Then the intent is given up: an interface that is gone would keep its names from all
    /// others and the node from other ways. An earlier try whose answer was lost stays on record with its names and is found if it comes late.</summary>
    private async Task DrawRefusedAsync(Intent intent, Ec2Exception refusal)
    {
        if (_declined.GetValueOrDefault(intent.Id) < DrawTries && !_restsUntil.ContainsKey(intent.EniId))
        {
            await UnknownAsync(intent, refusal.Message); // Look first: it may have happened by an earlier try.
            return;
        }

        _restsUntil[intent.EniId] = time.GetUtcNow() + DrawsRest;
        LogGivenUp(InstanceId, intent.EniId, DrawsRest.TotalSeconds, refusal.Message);
        await DropAsync(intent, []);
    }

    /// <summary>With what EC2 has given, which may disprove what was learned. What comes to an interface that was lost meanwhile is lost with it.</summary>
    private NodeDocument WithDrawn(NodeDocument document, Intent intent)
    {
        var eni = Drawn(document.Eni(intent.EniId)!, intent.Names);
        eni = eni.IsLost ? eni with { Blocks = [.. eni.Blocks.Select(held => held with { IsLost = true, AskedBackAt = held.AskedBackAt ?? document.LeaseVersion })] } : eni;
        _restsUntil.Remove(eni.EniId);
        return document.LimitOf(eni.EniId)?.Most < eni.Blocks.Length ? document.WithEni(eni).WithLearned(eni.EniId, null) : document.WithEni(eni);
    }

    /// <summary>No new interface for a while, twice as long each time: 10 s to 2 min. What the node has is filled meanwhile.</summary>
    private void NotMade() => _noNewBefore = time.GetUtcNow() + TimeSpan.FromSeconds(Math.Min(120, 10 * Math.Pow(2, Math.Min(_notMade++, 4))));

    private bool Rests(string eniId, DateTimeOffset now) => _restsUntil.TryGetValue(eniId, out var until) && IsAhead(until, now);
}
