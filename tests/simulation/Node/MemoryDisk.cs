using System.Text;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.Tests.Simulation.Faults;

namespace AwsVpcCni.Tests.Simulation.Node;

/// <summary>A node's lease file. Outlives executors; now and then a write fails, before or after it has happened.</summary>
internal sealed class MemoryDisk(Swarm faults, Random random) : ILeaseDisk
{
    private string? _content;
    private string? _flushed;

    public string Path => "/lease";

    public string? Read() => _content;

    public void Replace(ReadOnlySpan<byte> content) => Write(Encoding.UTF8.GetString(content), flushes: true);

    public void Append(ReadOnlySpan<byte> content) => Write(_content + Encoding.UTF8.GetString(content), flushes: false);

    /// <summary>Of what was appended since the last flush some part is there, perhaps half a line at its end.</summary>
    public void LosePower() => _content = _content?[..random.Next(_flushed?.Length ?? 0, _content.Length + 1)];

    public string SetAside() => throw new InvalidOperationException("the lease file cannot be used, though no fault damages it");

    public void Dispose()
    {
    }

    private void Write(string content, bool flushes)
    {
        var fails = faults.Strikes(FaultKind.DiskRefuses);
        if (!fails || random.Next(2) == 0)
        {
            (_content, _flushed) = (content, flushes ? content : _flushed);
        }

        if (fails)
        {
            throw new IOException("the disk refuses");
        }
    }
}
