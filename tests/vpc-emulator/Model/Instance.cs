namespace AwsVpcCni.VpcEmulator.Model;

/// <summary>A virtual machine, as far as its interfaces are concerned.</summary>
public sealed class Instance
{
    /// <summary>Grows with every resource of the VPC; the order of every answer.</summary>
    public required long Sequence { get; init; }

    public required string Id { get; init; }

    public required string ReservationId { get; init; }

    /// <summary>The end of its network namespace's name.</summary>
    public required string Name { get; init; }

    public required InstanceType Type { get; init; }

    /// <summary>The primary interface's.</summary>
    public required Subnet Subnet { get; init; }

    public required InstanceRole Role { get; init; }

    public required DateTimeOffset LaunchedAt { get; init; }

    public required IReadOnlyList<string> Groups { get; init; }

    public SortedDictionary<string, string> Tags { get; } = new(StringComparer.Ordinal);

    public InstanceState State { get; internal set; } = InstanceState.Running;
}

/// <summary>With EC2's codes.</summary>
public enum InstanceState
{
    Pending = 0,
    Running = 16,
    ShuttingDown = 32,
    Terminated = 48,
    Stopping = 64,
    Stopped = 80,
}
