using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

/// <summary>What a call does and answers, once its parameters are right and it is permitted: the elements below requestId.</summary>
internal delegate object?[] Effect(Vpc vpc);

/// <summary>The actions that the emulator knows. Each reads its parameters first, so that a wrong call is refused before anything
/// else: parameters, then permission, then DryRun, then existence (EC2's own order is not documented).</summary>
internal static class Ec2Actions
{
    private static readonly Dictionary<string, Func<RequestParameters, Effect>> All = new()
    {
        [nameof(AssignPrivateIpAddresses)] = AssignPrivateIpAddresses.Read,
        [nameof(AttachNetworkInterface)] = AttachNetworkInterface.Read,
        [nameof(CreateNetworkInterface)] = CreateNetworkInterface.Read,
        [nameof(CreateSubnetCidrReservation)] = CreateSubnetCidrReservation.Read,
        [nameof(CreateTags)] = CreateTags.Read,
        [nameof(DeleteNetworkInterface)] = DeleteNetworkInterface.Read,
        [nameof(DeleteSubnetCidrReservation)] = DeleteSubnetCidrReservation.Read,
        [nameof(DeleteTags)] = DeleteTags.Read,
        [nameof(DescribeInstances)] = DescribeInstances.Read,
        [nameof(DescribeInstanceTypes)] = DescribeInstanceTypes.Read,
        [nameof(DescribeNetworkInterfaces)] = DescribeNetworkInterfaces.Read,
        [nameof(DescribeSecurityGroups)] = DescribeSecurityGroups.Read,
        [nameof(DescribeSubnets)] = DescribeSubnets.Read,
        [nameof(DescribeVpcs)] = DescribeVpcs.Read,
        [nameof(DetachNetworkInterface)] = DetachNetworkInterface.Read,
        [nameof(GetSubnetCidrReservations)] = GetSubnetCidrReservations.Read,
        [nameof(ModifyNetworkInterfaceAttribute)] = ModifyNetworkInterfaceAttribute.Read,
        [nameof(UnassignPrivateIpAddresses)] = UnassignPrivateIpAddresses.Read,
    };

    /// <returns>Null: no such action here.</returns>
    public static Func<RequestParameters, Effect>? Find(string action) => All.GetValueOrDefault(action);

    /// <summary>Assign and Unassign have no DryRun in EC2.</summary>
    public static bool HasDryRun(string action) => action is not (nameof(AssignPrivateIpAddresses) or nameof(UnassignPrivateIpAddresses));
}
