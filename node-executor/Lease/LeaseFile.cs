using System.Collections.Immutable;
using System.Text;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>The lease on disk: a snapshot, replaced as a whole and fsynced, and after it the claims and ends since then.</summary>
/// <remarks>Not thread-safe: the lease's lane is its only caller.</remarks>
public sealed class LeaseFile : ILeaseStore, IDisposable
{
    /// <summary>Goes up when lines change their meaning.</summary>
    internal const int Format = 1;

    /// <summary>Appended lines before the next snapshot: some hundred KiB, read in milliseconds.</summary>
    internal const int MaxAppended = 2_000;

    private readonly ILeaseDisk disk;
    private readonly string bootId;
    private int appended;
    private bool mustRewrite = true;

    /// <param name="path">Of the file; its directory exists.</param>
    /// <param name="bootId">Of the running kernel: times are the boot clock's, so they mean nothing to another boot.</param>
    public LeaseFile(string path, string bootId)
        : this(new LeaseDisk(path), bootId)
    {
    }

    /// <summary>The same on another disk.</summary>
    internal LeaseFile(ILeaseDisk disk, string bootId) => (this.disk, this.bootId) = (disk, bootId);

    /// <summary>What the file says, whoever's it is. Nothing is changed but a file that cannot be used: it is kept aside.</summary>
    /// <param name="instanceId">Whose lease is wanted.</param>
    public LeaseFileContent Read(string instanceId)
    {
        if (disk.Read() is not { } text)
        {
            return new LeaseFileContent(null, IsOfThisBoot: false, null);
        }

        var (lease, header, damage) = Parse(text);
        damage ??= header!.InstanceId == instanceId ? null : $"it is the lease of {header.InstanceId}, and this node is {instanceId}";
        if (damage is null)
        {
            return new LeaseFileContent(lease, header!.BootId == bootId, null);
        }

        var aside = disk.SetAside();
        return new LeaseFileContent(null, IsOfThisBoot: false,
            $"{disk.Path} is not used: {damage}. It is kept as {aside}. The lease is empty now: what is wired stays, and silos are asked for the rest.");
    }

    /// <inheritdoc/>
    public void Save(NodeLease lease)
    {
        var lines = new List<LeaseLine>();
        lines.AddRange(lease.Slots.Select(slot => new LeaseLine.Address(slot.Key, slot.Value)));
        lines.AddRange(lease.Ended.Select(ended => new LeaseLine.Ended(ended.Key, ended.Value)));
        var header = new LeaseLine.Header(
            Format, lease.InstanceId, bootId, lease.Incarnation, lease.Version, lease.Policy, [.. lease.Interfaces.Values], lines.Count);
        var text = new StringBuilder(header.ToText());
        lines.ForEach(line => text.Append(line.ToText()));

        // Whatever happens now, the old file must not be appended to any more: it may be the new one.
        mustRewrite = true;
        disk.Replace(Encoding.UTF8.GetBytes(text.ToString()));
        (mustRewrite, appended) = (false, 0);
    }

    /// <inheritdoc/>
    public void Append(LeaseEntry entry, NodeLease after)
    {
        if (mustRewrite || appended >= MaxAppended)
        {
            Save(after); // Has the entry.
            return;
        }

        LeaseLine line = entry switch
        {
            LeaseEntry.Claimed claimed => new LeaseLine.Claimed(claimed.Address, claimed.Hold),
            LeaseEntry.Ended ended => new LeaseLine.Ended(ended.Stamp, ended.Ending),
            LeaseEntry.Freed freed => new LeaseLine.Freed(freed.Sandbox, freed.Address, freed.At),
            _ => throw new ArgumentException($"unknown entry {entry}", nameof(entry)),
        };
        mustRewrite = true; // Until it is written: perhaps half a line is there, and nothing may follow it.
        disk.Append(Encoding.UTF8.GetBytes(line.ToText()));
        appended++;
        mustRewrite = false;
    }

    /// <inheritdoc/>
    public void Dispose() => disk.Dispose();

    private static (NodeLease? Lease, LeaseLine.Header? Header, string? Damage) Parse(string text)
    {
        var lines = text.Split('\n');
        if (LeaseLine.Parse(lines[0]) is not LeaseLine.Header header)
        {
            return (null, null, "its first line is damaged");
        }

        if (header.Format != Format)
        {
            return (null, null, $"its format is {header.Format}, and this executor reads {Format}");
        }

        var lease = new NodeLease
        {
            InstanceId = header.InstanceId, Incarnation = header.Incarnation, Version = header.Version, Policy = header.Policy,
            Interfaces = header.Interfaces.ToImmutableSortedDictionary(order => order.EniId, order => order, StringComparer.Ordinal),
        };
        for (var n = 1; n < lines.Length; n++)
        {
            var isTail = n == lines.Length - 1; // After the last line's end: empty, or a line that was cut off.
            if (isTail && n > header.Lines)
            {
                break;
            }

            if (LeaseLine.Parse(lines[n]) is not { } line || isTail)
            {
                // The last line may have its end and yet be torn: pages of a file reach the disk in any order.
                return n > header.Lines && n >= lines.Length - 2 ? (lease, header, null) : (null, null, $"line {n + 1} is damaged");
            }

            lease = lease.Replay(line);
        }

        return (lease, header, null);
    }
}

/// <summary>What was found on disk.</summary>
/// <param name="Lease">As it was when the file was written; null for none that can be used.</param>
/// <param name="IsOfThisBoot">Otherwise its times, and its pods, are of a machine that has started anew since.</param>
/// <param name="Warning">For the operator; null for none.</param>
public sealed record LeaseFileContent(NodeLease? Lease, bool IsOfThisBoot, string? Warning);
