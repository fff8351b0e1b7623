using System.Text;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.Tests.Simulation.Faults;

namespace AwsVpcCni.Tests.Simulation.Node;

/// <summary>A node's lease file. Outlives executors; now and then a write fails, before or after it has happened.</summary>
internal sealed class MemoryDisk(Swarm faults, Random random) : ILeaseDisk
{
    private string? _content;

    public string Path => "/lease";

    public string? Read() => _content;

    public void Replace(ReadOnlySpan<byte> content) => Write(Encoding.UTF8.GetString(content));

    public void Append(ReadOnlySpan<byte> content) => Write(_content + Encoding.UTF8.GetString(content));

    public string SetAside() => throw new InvalidOperationException("the lease file cannot be used, though no fault damages it");

    public void Dispose()
    {
    }

    private void Write(string content)
    {
        var fails = faults.Strikes(FaultKind.DiskRefuses);
        if (!fails || random.Next(2) == 0)
        {
            _content = content;
        }

        if (fails)
        {
            throw new IOException("the disk refuses");
        }
    }
}
