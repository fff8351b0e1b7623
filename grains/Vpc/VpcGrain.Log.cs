using AwsVpcCni.Grains.Ec2;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.Grains.Vpc;

/// <content>What operators read of it.</content>
public sealed partial class VpcGrain
{
    [LoggerMessage(EventId = 2300, Level = LogLevel.Debug, Message = "{VpcId}: {InstanceId} opens a batch of looks.")]
    private partial void LogBatch(string vpcId, string instanceId);

    [LoggerMessage(EventId = 2301, Level = LogLevel.Information, Message = "Node {InstanceId} asks to be described for the first time.")]
    private partial void LogAsks(string instanceId);

    [LoggerMessage(EventId = 2302, Level = LogLevel.Warning, Message = "{VpcId}: reading EC2 failed ({Fault}): {Text}")]
    private partial void LogRefused(string vpcId, Ec2Fault fault, string text);

    [LoggerMessage(EventId = 2303, Level = LogLevel.Warning, Message = "{VpcId}: EC2 shows no subnet in it. Check the setting Ec2:VpcId and the region.")]
    private partial void LogNoSubnets(string vpcId);

    [LoggerMessage(EventId = 2307, Level = LogLevel.Information, Message = "{VpcId}: {InstanceId} is gone and leaves the register.")]
    private partial void LogLeaves(string vpcId, string instanceId);

    [LoggerMessage(EventId = 2308, Level = LogLevel.Warning, Message = "{VpcId}: {EniId} in {SubnetId} is deleted: it was made for {InstanceId}, which is gone, and was attached to nothing.")]
    private partial void LogLeaked(string vpcId, string eniId, string subnetId, string instanceId);

    [LoggerMessage(EventId = 2309, Level = LogLevel.Information, Message = "{VpcId}: the tags of subnets say something else of pods than before: {Subnets}.")]
    private partial void LogRetagged(string vpcId, string subnets);

    [LoggerMessage(EventId = 2310, Level = LogLevel.Warning, Message = "{VpcId}: the CIDR reservations of {SubnetId} could not be read, what was known of them holds on: {Why}")]
    private partial void LogNoRanges(string vpcId, string subnetId, string why);

    [LoggerMessage(EventId = 2304, Level = LogLevel.Warning, Message = "{VpcId}: this activation ends: {Why}")]
    private partial void LogLost(string vpcId, string why);

    [LoggerMessage(EventId = 2305, Level = LogLevel.Warning, Message = "{Why}")]
    private partial void LogGuessed(string why);

    [LoggerMessage(EventId = 2306, Level = LogLevel.Warning, Message = "{VpcId}: a read for {Work} failed on its way.")]
    private partial void LogFailed(string vpcId, Work work, Exception exception);
}
