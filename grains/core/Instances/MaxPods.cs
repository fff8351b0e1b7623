namespace AwsVpcCni.Core.Instances;

/// <summary>How many pods a node of one type can have. Pure; the figure for kubelet's maxPods.</summary>
public static class MaxPods
{
    private const int OnTheHostNetwork = 2; // The formula's share for aws-node and kube-proxy, which need no address.
    private const int PrefixSize = 16;

    /// <summary>Pods by the formula of amazon-vpc-cni-k8s: interfaces x (addresses - 1) + 2.</summary>
    /// <inheritdoc cref="Addresses"/>
    public static int Of(InstanceLimits limits, bool prefixes = false, bool customNetworking = false, int? maxEnis = null) =>
        Addresses(limits, prefixes, customNetworking, maxEnis) + OnTheHostNetwork;

    /// <summary>Addresses for pods.</summary>
    /// <param name="prefixes">Each slot holds a /28. Without effect on a type that takes none.</param>
    /// <param name="customNetworking">The primary interface is in the node's subnet and gives no pod an address.</param>
    /// <param name="maxEnis">The operator's own limit. amazon-vpc-cni-k8s: MAX_ENI.</param>
    public static int Addresses(InstanceLimits limits, bool prefixes = false, bool customNetworking = false, int? maxEnis = null)
    {
        var interfaces = Math.Min(limits.MaxInterfaces, maxEnis ?? int.MaxValue) - (customNetworking ? 1 : 0);
        return Math.Max(0, interfaces) * limits.SlotsPerInterface * (prefixes && limits.TakesPrefixes ? PrefixSize : 1);
    }
}
