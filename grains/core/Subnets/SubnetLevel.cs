namespace AwsVpcCni.Core.Subnets;

/// <summary>How much of a subnet is left: its nodes keep less ready on one that is low, and nothing is drawn but for waiting pods on one that is dry.</summary>
public enum SubnetLevel
{
    /// <summary>The policy's targets hold.</summary>
    Plenty,

    /// <summary>Less than a twentieth is free: one address is kept ready on a node.</summary>
    Low,

    /// <summary>A pod waits for an address that the subnet has not: ready ones are asked back for it.</summary>
    Dry,
}

/// <summary>When a subnet is low, and when it is not any more. Pure.</summary>
public static class SubnetLevels
{
    private const int LowPart = 20; // A twentieth; our choice: a /24 has 12 addresses then, three nodes' first pods by the demand policy.
    private const int LeastLow = 4;

    /// <summary>The level now.</summary>
    /// <param name="before">It ends only when twice as much would be left if every node drew again what it has been kept from: else all would draw and give back in turn.</param>
    /// <param name="free">Addresses that nobody has, nor has set aside.</param>
    /// <param name="room">Addresses that AWS does not keep.</param>
    /// <param name="withheld">Addresses that nodes would draw besides, were there plenty; null while it is not known of all.</param>
    /// <param name="waiting">Addresses that pods wait for here.</param>
    public static SubnetLevel Of(SubnetLevel before, int free, int room, int? withheld, int waiting)
    {
        var low = Math.Max(LeastLow, room / LowPart);
        return waiting > free || (waiting > 0 && before == SubnetLevel.Dry) ? SubnetLevel.Dry // What comes back is theirs first.
            : free < low || (before != SubnetLevel.Plenty && (withheld is null || free - withheld < 2 * low)) ? SubnetLevel.Low
            : SubnetLevel.Plenty;
    }
}
