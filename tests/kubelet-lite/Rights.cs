using AwsVpcCni.KubeletLite.Proto;
using k8s.Models;

namespace AwsVpcCni.KubeletLite;

/// <summary>A container's rights and bounds, by its own security context over its pod's, with the kubelet's defaults.</summary>
public static class Rights
{
    // Kubelet's, for procMount: Default (k8s.io/kubernetes/pkg/securitycontext).
    private static readonly string[] Masked = ["/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"];
    private static readonly string[] ReadOnly = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

    /// <summary>The sandbox's.</summary>
    public static LinuxSandboxSecurityContext OfSandbox(V1PodSpec spec)
    {
        var pod = spec.SecurityContext;
        var context = new LinuxSandboxSecurityContext
        {
            NamespaceOptions = NamespacesOf(spec), RunAsUser = Number(pod?.RunAsUser), RunAsGroup = Number(pod?.RunAsGroup), Seccomp = Seccomp(pod?.SeccompProfile),
        };
        context.SupplementalGroups.AddRange(Groups(pod));
        return context;
    }

    /// <summary>A container's.</summary>
    public static LinuxContainerSecurityContext Of(V1PodSpec spec, V1Container container)
    {
        var (pod, own) = (spec.SecurityContext, container.SecurityContext);
        var user = own?.RunAsUser ?? pod?.RunAsUser;
        if ((own?.RunAsNonRoot ?? pod?.RunAsNonRoot) == true && user is null or 0)
        {
            throw new InvalidOperationException($"container {container.Name} has runAsNonRoot and runs as {(user is null ? "whom its image says, which kubelet-lite does not look at" : "root")}.");
        }

        var context = new LinuxContainerSecurityContext
        {
            NamespaceOptions = NamespacesOf(spec),
            Capabilities = new Capability(),
            Privileged = own?.Privileged == true,
            RunAsUser = Number(user),
            RunAsGroup = Number(own?.RunAsGroup ?? pod?.RunAsGroup),
            ReadonlyRootfs = own?.ReadOnlyRootFilesystem == true,
            NoNewPrivs = own?.AllowPrivilegeEscalation == false,
            Seccomp = Seccomp(own?.SeccompProfile ?? pod?.SeccompProfile),
        };
        context.Capabilities.AddCapabilities.AddRange(own?.Capabilities?.Add ?? []);
        context.Capabilities.DropCapabilities.AddRange(own?.Capabilities?.Drop ?? []);
        context.SupplementalGroups.AddRange(Groups(pod));
        if (!context.Privileged)
        {
            context.MaskedPaths.AddRange(Masked);
            context.ReadonlyPaths.AddRange(ReadOnly);
        }

        return context;
    }

    /// <summary>A container's part of the machine. <c>oom_score_adj</c> is not set: it needs CAP_SYS_RESOURCE.</summary>
    public static LinuxContainerResources ResourcesOf(V1Container container)
    {
        var (requests, limits) = (container.Resources?.Requests, container.Resources?.Limits);
        var result = new LinuxContainerResources { CpuShares = Math.Max(2, (long)(Amount(requests, "cpu") * 1024m)), MemoryLimitInBytes = (long)Amount(limits, "memory") };
        if (Amount(limits, "cpu") is > 0 and var cores)
        {
            (result.CpuPeriod, result.CpuQuota) = (100_000, (long)(cores * 100_000m));
        }

        return result;
    }

    private static decimal Amount(IDictionary<string, ResourceQuantity>? amounts, string of) => amounts?.TryGetValue(of, out var amount) == true ? amount.ToDecimal() : 0;

    private static NamespaceOption NamespacesOf(V1PodSpec spec) => new() { Network = spec.HostNetwork == true ? NamespaceMode.Node : NamespaceMode.Pod, Pid = NamespaceMode.Container };

    private static IEnumerable<long> Groups(V1PodSecurityContext? pod) => (pod?.SupplementalGroups ?? []).Concat(pod?.FsGroup is { } group ? [group] : []).OfType<long>();

    private static SecurityProfile Seccomp(V1SeccompProfile? profile) => new()
    {
        ProfileType = profile?.Type switch
        {
            "RuntimeDefault" => ProfileType.RuntimeDefault,
            null or "Unconfined" => ProfileType.Unconfined,
            var other => throw new NotSupportedException($"seccompProfile.type {other} is not known to kubelet-lite."),
        },
    };

    private static Int64Value? Number(long? value) => value is { } number ? new Int64Value { Value = number } : null;
}
