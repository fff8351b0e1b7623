using AwsVpcCni.KubeletLite;
using AwsVpcCni.KubeletLite.Proto;
using k8s.Models;
using Xunit;

namespace AwsVpcCni.Tests.Unit.KubeletLite;

/// <summary>The chart's pods as the runtime is told of them.</summary>
public sealed class CriConfigsTests
{
    [Fact]
    public void An_executor_is_on_its_nodes_network_and_has_two_capabilities_on_a_root_that_it_cannot_write()
    {
        var (sandbox, executor) = (CriConfigs.OfSandbox(Rendered.Executor(), Rendered.Node), Container(Rendered.Executor(), "executor"));
        Assert.Equal(NamespaceMode.Node, sandbox.Linux.SecurityContext.NamespaceOptions.Network);
        Assert.Equal("10.20.0.2", Assert.Single(sandbox.DnsConfig.Servers)); // dnsPolicy: Default
        Assert.Empty(sandbox.PortMappings);

        var rights = executor.Linux.SecurityContext;
        Assert.Equal(["NET_ADMIN", "SYS_ADMIN"], rights.Capabilities.AddCapabilities);
        Assert.Equal(["ALL"], rights.Capabilities.DropCapabilities);
        Assert.True(rights is { ReadonlyRootfs: true, Privileged: false, RunAsUser.Value: 0, Seccomp.ProfileType: ProfileType.RuntimeDefault });
        Assert.Contains("/proc/sys", rights.ReadonlyPaths);
        Assert.Equal(128 << 20, executor.Linux.Resources.MemoryLimitInBytes);
        Assert.Equal(25, executor.Linux.Resources.CpuShares); // 25m of 1024
    }

    [Fact]
    public void The_init_container_is_a_container_of_its_own_with_no_capability()
    {
        var install = Container(Rendered.Executor(), "install");
        Assert.Equal(["/app/node-executor", "install", "/app/aws-vpc-cni", "/host/cni-bin/aws-vpc-cni", "/app/cni"], install.Command);
        Assert.Empty(install.Linux.SecurityContext.Capabilities.AddCapabilities);
        Assert.True(install.Linux.SecurityContext.NoNewPrivs);
        Assert.Contains(install.Mounts, mount => mount is { ContainerPath: "/host/cni-bin", HostPath: "/volumes/cni-bin", Readonly: false });
    }

    [Fact]
    public void Each_mount_leads_to_its_volume()
    {
        var mounts = Container(Rendered.Executor(), "executor").Mounts.Select(mount => $"{mount.HostPath} {mount.ContainerPath} {(mount.Readonly ? "ro" : "rw")}");
        Assert.Equal(
            [
                "/volumes/cni-bin /host/cni-bin ro", "/volumes/cni-conf /host/cni-conf rw", "/volumes/state /var/lib/aws-vpc-cni rw", "/volumes/run /run/aws-vpc-cni rw",
                "/volumes/proc-sys-net /host/proc/sys/net rw", "/volumes/token /var/run/secrets/aws-vpc-cni ro", "/volumes/kube-api-access /var/run/secrets/kubernetes.io/serviceaccount ro",
            ],
            mounts);
        Assert.Contains("pod has no such volume", Assert.Throws<KeyNotFoundException>(() => CriConfigs.OfContainer(
            Rendered.Executor(), Rendered.Executor().Spec.Containers[0], Rendered.Node, new Dictionary<string, string>(), "")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_silo_is_nobody_and_hears_its_own_address_and_where_the_API_server_is()
    {
        var silo = Container(Rendered.Silo(), "silo");
        var variables = silo.Envs.ToDictionary(variable => variable.Key, variable => variable.Value);
        Assert.Equal(("10.20.1.20", "10.100.0.1", "443"), (variables["Silo__Address"], variables["KUBERNETES_SERVICE_HOST"], variables["KUBERNETES_SERVICE_PORT"]));
        Assert.True(silo.Linux.SecurityContext is { RunAsUser.Value: 65532, RunAsGroup.Value: 65532, NoNewPrivs: true, Seccomp.ProfileType: ProfileType.RuntimeDefault });
        Assert.Equal([65532L], silo.Linux.SecurityContext.SupplementalGroups); // fsGroup
        Assert.Contains(silo.Mounts, mount => mount is { ContainerPath: "/var/lib/aws-vpc-cni", HostPath: "/volumes/data" });
    }

    [Fact]
    public void A_variable_is_put_into_those_after_it()
    {
        var executor = Container(Rendered.Executor("dynamodb"), "executor");
        Assert.Contains(executor.Envs, variable => variable is { Key: "AWS_VPC_CNI_METRICS_ADDRESS", Value: "10.20.1.20:61678" }); // $(HOST_IP):61678
    }

    [Theory]
    [InlineData("$(A)-$(B)", "1-2")]
    [InlineData("$$(A) $", "$(A) $")]
    [InlineData("$(C)$(", "$(C)$(")] // What names none stays.
    public void Only_what_is_known_is_put_in(string text, string expected) =>
        Assert.Equal(expected, PodFields.Expand(text, new Dictionary<string, string> { ["A"] = "1", ["B"] = "2" }));

    [Fact]
    public void A_pod_on_the_pod_network_has_its_own_address_and_its_host_ports()
    {
        var pod = Rendered.Pod("""
            automountServiceAccountToken: false
            containers:
              - name: one
                image: x
                ports: [{containerPort: 80, hostPort: 8080}, {containerPort: 53, hostPort: 5353, protocol: UDP}, {containerPort: 81}]
                env: [{name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}, {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
            """);
        var sandbox = CriConfigs.OfSandbox(pod, Rendered.Node);
        Assert.Equal(NamespaceMode.Pod, sandbox.Linux.SecurityContext.NamespaceOptions.Network);
        Assert.Equal([(0, 80, 8080), (1, 53, 5353)], sandbox.PortMappings.Select(port => (port.Protocol, port.ContainerPort, port.HostPort)));
        Assert.Equal("10.100.0.10", Assert.Single(sandbox.DnsConfig.Servers));
        Assert.Equal(["10.20.1.99", "nodea"], Container(pod, "one", "10.20.1.99").Envs.TakeLast(2).Select(variable => variable.Value));
    }

    [Fact]
    public void Root_is_refused_where_the_pod_may_not_be_root()
    {
        var pod = Rendered.Pod("""
            securityContext: {runAsNonRoot: true}
            containers: [{name: one, image: x, securityContext: {runAsUser: 0}}]
            """);
        Assert.Contains("runAsNonRoot", Assert.Throws<InvalidOperationException>(() => Container(pod, "one")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("hostPID: true\ncontainers: [{name: one, image: x}]", "spec.hostPID")]
    [InlineData("containers: [{name: one, image: x, lifecycle: {preStop: {exec: {command: [a]}}}}]", "spec.containers[0].lifecycle")]
    [InlineData("containers: [{name: one, image: x}]\ninitContainers: [{name: two, image: x, restartPolicy: Always}]", "spec.initContainers[0].restartPolicy")]
    [InlineData("containers: [{name: one, image: x, volumeMounts: [{name: a, mountPath: /a, subPath: b}]}]", "spec.containers[0].volumeMounts[0].subPath")]
    [InlineData("containers: [{name: one, image: x, livenessProbe: {tcpSocket: {port: 1}}}]", "spec.containers[0].livenessProbe.tcpSocket")]
    [InlineData("containers: [{name: one, image: x}]\nvolumes: [{name: a, nfs: {server: b, path: /}}]", "spec.volumes[0].nfs")]
    public void What_is_not_carried_out_is_refused_by_name(string spec, string named)
    {
        var refused = Assert.Throws<NotSupportedException>(() => KnownFields.Check(Rendered.Pod(spec).Spec));
        Assert.StartsWith(named + " ", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("sqlite")]
    [InlineData("dynamodb")]
    [InlineData("everything-set")]
    [InlineData("everything-off")]
    public void Each_pod_of_the_chart_is_carried_out_in_full(string set)
    {
        var all = Rendered.Set(set);
        V1PodSpec[] specs = [.. all.Of<V1DaemonSet>().Select(it => it.Spec.Template.Spec), .. all.Of<V1StatefulSet>().Select(it => it.Spec.Template.Spec), .. all.Of<V1Deployment>().Select(it => it.Spec.Template.Spec), .. all.Of<V1Pod>().Select(it => it.Spec)];
        Assert.True(specs.Length >= 2);
        Assert.All(specs, KnownFields.Check);
    }

    private static ContainerConfig Container(V1Pod pod, string name, string? address = null) => CriConfigs.OfContainer(
        pod, pod.Spec.Containers.Concat(pod.Spec.InitContainers ?? []).Single(container => container.Name == name), Rendered.Node,
        (pod.Spec.Volumes ?? []).ToDictionary(volume => volume.Name, volume => "/volumes/" + volume.Name), address ?? Rendered.Node.Address);
}
