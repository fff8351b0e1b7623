namespace AwsVpcCni.Core.Ec2Quota;

/// <summary>EC2's actions that we call, under EC2's names. Each has a token bucket of its own.</summary>
public enum Ec2Action
{
    /// <summary>Filtered, so the large bucket.</summary>
    DescribeInstances,

    /// <summary>Filtered or paginated, so the large bucket.</summary>
    DescribeNetworkInterfaces,

    /// <summary>The VPC's subnets.</summary>
    DescribeSubnets,

    /// <summary>A type's limits.</summary>
    DescribeInstanceTypes,

    /// <summary>Draw addresses.</summary>
    AssignPrivateIpAddresses,

    /// <summary>Return addresses.</summary>
    UnassignPrivateIpAddresses,

    /// <summary>A new interface, with its addresses.</summary>
    CreateNetworkInterface,

    /// <summary>To an instance.</summary>
    AttachNetworkInterface,

    /// <summary>Its deletion with the instance, which cannot be asked for earlier.</summary>
    ModifyNetworkInterfaceAttribute,

    /// <summary>From an instance.</summary>
    DetachNetworkInterface,

    /// <summary>With the addresses that it still holds.</summary>
    DeleteNetworkInterface,

    /// <summary>A subnet's reservations. Last, since silos of two versions tell each other actions by their numbers.</summary>
    GetSubnetCidrReservations,
}

/// <summary>The order of need.</summary>
public enum CallPriority
{
    /// <summary>A pod is waiting.</summary>
    PodWaiting,

    /// <summary>A node is starting.</summary>
    NodeStarting,

    /// <summary>The warm pool is below its target.</summary>
    WarmPool,

    /// <summary>Reading EC2 to find what differs.</summary>
    Reconcile,

    /// <summary>Returns and clean-up.</summary>
    CleanUp,
}
