namespace AwsVpcCni.Tests.Simulation.Faults;

/// <summary>What can go wrong, each at a rate of its own, which the seed draws.</summary>
internal enum FaultKind
{
    // At any turn of a lane.
    ActivationKilled,
    ActivationStalled,
    SiloCrashed,
    ExecutorCrashed,

    // To messages.
    Split,
    MessageLost,
    MessageLate,
    MessageTwice,
    Partition,
    StreamCut,
    OlderBuild,

    // To the store.
    StoreRefuses,
    StoreAnswerLost,
    StoreSlow,
    StoreRestored,

    // To calls of EC2.
    Throttled,
    Ec2ErrorBefore,
    Ec2ErrorAfter,
    Ec2Silent,
    Ec2Late,
    NotAuthorized,
    Ec2NoRoom,
    Ec2Limit,
    Ec2Refuses,
    ReadersLag,

    // To machines.
    InstanceLost,
    Rebooted,
    PowerCut,
    ClockJumps,
    DiskRefuses,
    KernelRefuses,
    KernelHalf,
    RuntimeRestarts,

    // By people and others.
    HandsTake,
    HandsAdd,
    HandsDetach,
    HandsLeave,
    HandsAttach,
    NeighbourActs,
    NamesTaken,
    PolicyChanged,
    Retagged,
    Switched,
    BoundTold,
}
