namespace AwsVpcCni.VpcEmulator.Model;

/// <summary>How far what EC2 shows may lie behind what it has done. All zero: not at all.</summary>
public sealed record ReadLag
{
    public static ReadLag None { get; } = new();

    /// <summary>For so long at most nobody knows a new interface: describes leave it out, calls for it say NotFound. 0 to 5 s seen on EC2.</summary>
    public int NewInterfaceMs { get; init; }

    /// <summary>A describe shows an interface as it was at most so long ago. Up to 2 s usual on EC2, minutes possible. Each reader has a lag
    /// of its own for each interface, another one each time, but never goes back behind what it has shown.</summary>
    public int DescribeMs { get; init; }

    /// <summary>The same for the metadata services, each of which is a reader. 1 to 5 s usual on EC2, 30 s and for removed interfaces 5 minutes seen.</summary>
    public int ImdsMs { get; init; }

    /// <summary>Instances whose metadata stands still as long as they are listed: a rare defect of EC2.</summary>
    public IReadOnlyList<string> ImdsStuck { get; init; } = [];

    internal int LongestMs => Math.Max(DescribeMs, ImdsMs);

    /// <exception cref="ArgumentException">A time is negative or longer than ten minutes.</exception>
    internal ReadLag Checked() =>
        new[] { NewInterfaceMs, DescribeMs, ImdsMs }.All(ms => ms is >= 0 and <= 600_000)
            ? this
            : throw new ArgumentException("lag: newInterfaceMs, describeMs and imdsMs are each from 0 to 600000.");
}
