using System.Text;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.Tests.Simulation.Faults;

namespace AwsVpcCni.Tests.Simulation.Node;

/// <summary>A node's lease file. Outlives executors; now and then a write fails, before, half-way or after it has happened.</summary>
/// <remarks>As LeaseDisk has it: a replaced file survives a power cut, what was appended since may not.</remarks>
internal sealed class MemoryDisk(Swarm faults, Random random) : ILeaseDisk
{
    private string? _synced; // What a power cut leaves at least,
    private string? _renamed; // or this, in its place since, if its directory is not synced.
    private string? _content; // The later of the two, and what was appended.

    public string Path => "/lease";

    public string? Read() => _content;

    public void Replace(ReadOnlySpan<byte> content)
    {
        var text = Encoding.UTF8.GetString(content);
        if (!faults.Strikes(FaultKind.DiskRefuses))
        {
            (_content, _synced, _renamed) = (text, text, null);
            return;
        }

        if (random.Next(2) == 0)
        {
            _content = _renamed = text;
        }

        throw new IOException("the disk refuses");
    }

    public void Append(ReadOnlySpan<byte> content)
    {
        var text = Encoding.UTF8.GetString(content);
        if (!faults.Strikes(FaultKind.DiskRefuses))
        {
            _content += text;
            return;
        }

        _content += text[..random.Next(text.Length + 1)];
        throw new IOException("the disk refuses");
    }

    public string SetAside() => throw new InvalidOperationException("the lease file cannot be used, though no fault damages it");

    /// <summary>The kernel has written some of the last appended pages, and perhaps counted the others in the file's length: they read as zeros.</summary>
    public void LosePower()
    {
        if (_renamed is not null && random.Next(2) == 0)
        {
            _content = _synced;
        }
        else if (_content is { } now)
        {
            var kept = random.Next((_renamed ?? _synced)?.Length ?? 0, now.Length + 1);
            _content = now[..kept] + new string('\0', random.Next(2) == 0 ? now.Length - kept : 0);
        }

        (_synced, _renamed) = (_content, null);
    }

    public void Dispose()
    {
    }
}
