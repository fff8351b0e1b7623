using System.Collections.Immutable;
using AwsVpcCni.Core.Pool;

namespace AwsVpcCni.Grains.Cluster;

/// <summary>One cluster. Key: its name. Holds what operators have decided at run time, with who and when.</summary>
public interface IClusterGrain : IGrainWithStringKey
{
    /// <summary>What holds now.</summary>
    Task<ClusterPolicies> ReadAsync();

    /// <summary>Sets a policy, or takes it away; nothing is changed when somebody else was first.</summary>
    Task<PolicyReply> ChangeAsync(PolicyChange change);

    /// <summary>Switches one node, one subnet or all; nothing is changed when somebody else was first.</summary>
    Task<PolicyReply> SwitchAsync(SwitchChange change);
}

/// <summary>What operators have decided.</summary>
/// <param name="Version">Goes up with each change; 0 when there was none.</param>
/// <param name="Pool">For all nodes; null: the silos' settings.</param>
/// <param name="Nodes">For single nodes instead, by instance id, and for those that bear a label (<see cref="PolicyLabels"/>).</param>
/// <param name="Last">The latest change; null when there was none.</param>
/// <param name="Switches">What is switched off, by target; null of a grain on a silo of before there were switches.</param>
/// <param name="OfSettings">What the settings of the grain's silo say, whatever operators have set.</param>
[GenerateSerializer, Immutable]
public sealed record ClusterPolicies(
    [property: Id(0)] long Version, [property: Id(1)] PoolPolicy? Pool, [property: Id(2)] ImmutableSortedDictionary<string, PoolPolicy> Nodes, [property: Id(3)] PolicyNote? Last,
    [property: Id(4)] ImmutableArray<OperatorSwitch>? Switches = null, [property: Id(5)] PoolPolicy? OfSettings = null);

/// <summary>One change, and who is behind it.</summary>
/// <param name="ExpectedVersion">The version that the caller has read.</param>
/// <param name="InstanceId">The node, or a label (<see cref="PolicyLabels"/>); null for all.</param>
/// <param name="Pool">Null takes the policy away.</param>
[GenerateSerializer, Immutable]
public sealed record PolicyChange(
    [property: Id(0)] long ExpectedVersion, [property: Id(1)] string? InstanceId, [property: Id(2)] PoolPolicy? Pool, [property: Id(3)] string Who, [property: Id(4)] string Why);

/// <summary>One switching, and who is behind it.</summary>
/// <param name="ExpectedVersion">The version that the caller has read.</param>
/// <param name="Target"><see cref="OperatorSwitches.All"/>, a node's instance id or a subnet's id.</param>
/// <param name="Mode">Normal takes the target's switch away; another one may hold all the same.</param>
[GenerateSerializer, Immutable]
public sealed record SwitchChange(
    [property: Id(0)] long ExpectedVersion, [property: Id(1)] string Target, [property: Id(2)] SwitchMode Mode, [property: Id(3)] string Who, [property: Id(4)] string Why);

/// <summary>What became of a change.</summary>
/// <param name="IsDone">False when the version was not the expected one.</param>
/// <param name="Now">What holds now.</param>
[GenerateSerializer, Immutable]
public sealed record PolicyReply([property: Id(0)] bool IsDone, [property: Id(1)] ClusterPolicies Now);

/// <summary>Who changed what, when and why.</summary>
/// <param name="At">UTC, the silo's clock.</param>
/// <param name="InstanceId">The node, or the label, whose policy it is; null for all.</param>
/// <param name="Switched">The target of a switch; null for a change of the policy.</param>
/// <param name="Mode">What it was switched to.</param>
[GenerateSerializer, Immutable]
public sealed record PolicyNote(
    [property: Id(0)] long Version, [property: Id(1)] string? InstanceId, [property: Id(2)] string Who, [property: Id(3)] string Why, [property: Id(4)] DateTimeOffset At,
    [property: Id(5)] string? Switched = null, [property: Id(6)] SwitchMode Mode = SwitchMode.Normal);
