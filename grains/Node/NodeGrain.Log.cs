using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Ec2;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.Grains.Node;

/// <content>All that a node grain says: event ids 2100 to 2199.</content>
public sealed partial class NodeGrain
{
    [LoggerMessage(EventId = 2100, Level = LogLevel.Information, Message = "Node {InstanceId} ({InstanceType}, {Zone}) has joined; its primary interface holds {Addresses} addresses for pods.")]
    private partial void LogJoined(string instanceId, string instanceType, string zone, int addresses);

    [LoggerMessage(EventId = 2101, Level = LogLevel.Information, Message = "{InstanceId}: sandbox {Sandbox} ({Pod}) is offered {Address} on {EniId}.")]
    private partial void LogOffered(string instanceId, SandboxKey sandbox, PodName pod, Ip address, string eniId);

    [LoggerMessage(EventId = 2102, Level = LogLevel.Information, Message = "{InstanceId}: sandbox {Sandbox} has released {Address}.")]
    private partial void LogReleased(string instanceId, SandboxKey sandbox, Ip address);

    [LoggerMessage(EventId = 2103, Level = LogLevel.Information, Message = "{InstanceId}: the executor reports {Address} on sandbox {Sandbox}; its row is written now.")]
    private partial void LogReported(string instanceId, SandboxKey sandbox, Ip address);

    [LoggerMessage(EventId = 2104, Level = LogLevel.Information, Message = "{InstanceId}: {Count} addresses drawn for {EniId}.")]
    private partial void LogDrawn(string instanceId, int count, string eniId);

    [LoggerMessage(EventId = 2105, Level = LogLevel.Information, Message = "{InstanceId}: {Count} addresses are asked back from the executor.")]
    private partial void LogAskedBack(string instanceId, int count);

    [LoggerMessage(EventId = 2106, Level = LogLevel.Information, Message = "{InstanceId}: {Count} addresses of {EniId} returned to EC2.")]
    private partial void LogReturned(string instanceId, int count, string eniId);

    [LoggerMessage(EventId = 2107, Level = LogLevel.Information, Message = "{InstanceId}: interface {EniId} is attached as device {Device}, with {Addresses} addresses for pods.")]
    private partial void LogAdded(string instanceId, string eniId, int device, int addresses);

    [LoggerMessage(EventId = 2108, Level = LogLevel.Information, Message = "{InstanceId}: interface {EniId} is detached and deleted.")]
    private partial void LogRemoved(string instanceId, string eniId);

    [LoggerMessage(EventId = 2109, Level = LogLevel.Warning, Message = "{InstanceId}: {Count} addresses that it had returned, or had given up to draw, are on its interfaces: a call came to effect late. They are its own again.")]
    private partial void LogCameLate(string instanceId, int count);

    [LoggerMessage(EventId = 2110, Level = LogLevel.Warning, Message = "{InstanceId}: {Kind} for {EniId} refused ({Fault}): {Text}")]
    private partial void LogRefused(string instanceId, IntentKind kind, string eniId, Ec2Fault fault, string text);

    [LoggerMessage(EventId = 2111, Level = LogLevel.Warning, Message = "{InstanceId}: whether {Kind} for {EniId} happened is not known; looking. {Why}")]
    private partial void LogUnknown(string instanceId, IntentKind kind, string eniId, string why);

    [LoggerMessage(EventId = 2116, Level = LogLevel.Warning, Message = "{InstanceId}: {Kind} for {EniId} was not carried to its end; looking what became of it.")]
    private partial void LogFailed(string instanceId, IntentKind kind, string eniId, Exception exception);

    [LoggerMessage(EventId = 2117, Level = LogLevel.Warning, Message = "{InstanceId}: someone else has taken {Blocks} from its interfaces. Pods that still have one of them have no network any more; delete them: {Pods}.")]
    private partial void LogTaken(string instanceId, string blocks, string pods);

    [LoggerMessage(EventId = 2118, Level = LogLevel.Warning, Message = "{InstanceId}: {Why}")]
    private partial void LogLimit(string instanceId, string why);

    [LoggerMessage(EventId = 2119, Level = LogLevel.Warning, Message = "{InstanceId}: EC2 refuses every draw for {EniId}; the names are given up, and nothing is asked for it for {Seconds} s. {Text}")]
    private partial void LogGivenUp(string instanceId, string eniId, double seconds, string text);

    [LoggerMessage(EventId = 2120, Level = LogLevel.Information, Message = "{InstanceId}: what someone else has taken is not the node's any more: {Blocks} of {EniId}.")]
    private partial void LogLetGo(string instanceId, string eniId, string blocks);

    [LoggerMessage(EventId = 2121, Level = LogLevel.Information, Message = "{InstanceId}: {Addresses} addresses that somebody else has provisioned are taken in.")]
    private partial void LogAbsorbed(string instanceId, int addresses);

    [LoggerMessage(EventId = 2128, Level = LogLevel.Information, Message = "{InstanceId}: interface {EniId} has the security groups {Groups} now.")]
    private partial void LogGroups(string instanceId, string eniId, string groups);

    [LoggerMessage(EventId = 2129, Level = LogLevel.Warning, Message = "{InstanceId}: interface {EniId} keeps its security groups; those that are wanted, {Groups}, are tried again in {Wait}. {Why}")]
    private partial void LogGroupsNotSet(string instanceId, string eniId, string groups, TimeSpan wait, string why);

    [LoggerMessage(EventId = 2125, Level = LogLevel.Warning, Message = "{InstanceId}: {EniId} was made for it, is attached to nothing, and nothing is under way about it: it is deleted.")]
    private partial void LogLeaked(string instanceId, string eniId);

    [LoggerMessage(EventId = 2122, Level = LogLevel.Information, Message = "{InstanceId}: its instance is gone ({How}). What it held rests, then the node is retired.")]
    private partial void LogGone(string instanceId, string how);

    [LoggerMessage(EventId = 2123, Level = LogLevel.Information, Message = "Node {InstanceId} is retired: none of its addresses is held any more.")]
    private partial void LogRetired(string instanceId);

    [LoggerMessage(EventId = 2124, Level = LogLevel.Warning, Message = "{InstanceId}: its retirement was not carried to its end, and goes on.")]
    private partial void LogNotRetired(string instanceId, Exception exception);

    [LoggerMessage(EventId = 2126, Level = LogLevel.Information, Message = "{InstanceId}: {SubnetId} has {Level} left.")]
    private partial void LogLeft(string instanceId, string subnetId, SubnetLevel level);

    [LoggerMessage(EventId = 2127, Level = LogLevel.Information, Message = "{InstanceId}: {Addresses} addresses of {SubnetId} are asked back for pods of other nodes.")]
    private partial void LogRecalled(string instanceId, int addresses, string subnetId);

    [LoggerMessage(EventId = 2112, Level = LogLevel.Warning, Message = "{InstanceId}: {Code}: {Text}")]
    private partial void LogTrouble(string instanceId, ReasonCode code, string text);

    [LoggerMessage(EventId = 2113, Level = LogLevel.Warning, Message = "{InstanceId}: the store does not answer: {Text}")]
    private partial void LogStoreAway(string instanceId, string text);

    [LoggerMessage(EventId = 2115, Level = LogLevel.Warning, Message = "{InstanceId}: the store has lease version {Stored}, the node {Reported}: the store was lost or restored. Reading EC2 again.")]
    private partial void LogOlderStore(string instanceId, long stored, long reported);

    [LoggerMessage(EventId = 2114, Level = LogLevel.Warning, Message = "{InstanceId}: this activation ends, another one wrote: {Why}")]
    private partial void LogLost(string instanceId, string why);
}
