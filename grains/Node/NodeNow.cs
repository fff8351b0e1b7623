using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.Grains.Node;

/// <summary>What a node's grain says of its node to its own silo, as it is now.</summary>
/// <param name="Waiting">ADDs without an address; whose turn it is comes first.</param>
/// <param name="Trouble">Why the node has not what it wants; null when it has.</param>
/// <param name="Ready">Addresses that a pod could get at once.</param>
/// <param name="MaxPods">That the instance can run, those on the host's network included; 0 before its type is known.</param>
/// <param name="Lost">Pods whose address somebody has taken in EC2.</param>
/// <param name="LastRecall">What other nodes' pods have last asked of it; null for nothing since the grain began.</param>
public sealed record NodeNow(
    string InstanceId, ImmutableArray<WaitingPod> Waiting, Reason? Trouble, int Ready, int MaxPods, ImmutableArray<LostAddress> Lost, Recall? LastRecall);

/// <summary>An address that EC2 no longer shows on the node, and a pod that goes on using it.</summary>
public sealed record LostAddress(Ip Address, PodName Pod);

/// <summary>Free addresses that are to go to pods of other nodes.</summary>
/// <param name="SubnetId">Which is dry.</param>
/// <param name="At">UTC, by this silo's clock.</param>
public sealed record Recall(string SubnetId, int Addresses, DateTimeOffset At);
