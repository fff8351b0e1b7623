namespace AwsVpcCni.KubeletLite;

/// <summary>The node that a pod is on. Nodes share this machine, so each has a folder for its file system.</summary>
/// <param name="Address">Its own in the VPC.</param>
/// <param name="Root">Stands for the node's <c>/</c>; what is the kernel's (<c>/proc</c>, <c>/sys</c>, <c>/dev</c>) is the machine's.</param>
public sealed record NodeHost(string Name, string Address, string Root)
{
    /// <summary>Where the containers' logs go: <c>NODE_POD_CONTAINER.log</c>, in the runtime's form.</summary>
    public required string LogFolder { get; init; }

    /// <summary>The API server as pods find it, <c>KUBERNETES_SERVICE_HOST</c>, on port 443.</summary>
    public required string ApiAddress { get; init; }

    /// <summary>As the node's own resolv.conf has it, for pods with <c>dnsPolicy: Default</c>.</summary>
    public required string DnsServer { get; init; }

    /// <summary>The cluster's DNS, for other pods.</summary>
    public required string ClusterDnsServer { get; init; }

    /// <summary>Where a path of the node is on this machine.</summary>
    public string PathOf(string path) => path.Split('/') is ["", "proc" or "sys" or "dev", ..] ? path : Root + path;
}
