using AwsVpcCni.KubeletLite;
using k8s.Models;
using Xunit;

namespace AwsVpcCni.Tests.Unit.KubeletLite;

/// <summary>What the cluster's controllers would make of the chart.</summary>
public sealed class WorkloadsTests
{
    [Fact]
    public void The_silos_service_has_the_silo_and_its_node_api_by_number()
    {
        var all = Rendered.Set("sqlite");
        RunningPod silo = new(Rendered.Silo(), "s", "10.20.1.20"), executor = new(Rendered.Executor(), "e", "10.20.1.20");
        var slice = Workloads.EndpointsOf(all.Single<V1Service>(), [(silo, true), (executor, true)]);
        Assert.Equal("cni-aws-vpc-cni-distributed-silo", slice.Metadata.Labels["kubernetes.io/service-name"]);
        Assert.Equal(("node-api", 8440), (slice.Ports.Single().Name, slice.Ports.Single().Port));
        Assert.Equal(["10.20.1.20"], slice.Endpoints.Single().Addresses);
        Assert.True(slice.Endpoints.Single().Conditions.Ready);
        Assert.False(Workloads.EndpointsOf(all.Single<V1Service>(), [(silo, false)]).Endpoints.Single().Conditions.Ready);
    }

    [Fact]
    public void Silo_and_executor_may_go_to_a_node_without_a_network_and_the_pod_of_helm_test_may_not()
    {
        var all = Rendered.Set("sqlite");
        var pod = all.Of<V1Pod>().Single(pod => pod.Spec.HostNetwork != true).Spec;
        var (silo, executor) = (all.Single<V1StatefulSet>().Spec.Template.Spec, all.Single<V1DaemonSet>().Spec.Template.Spec);
        var unready = Node("node.kubernetes.io/not-ready");
        Assert.Null(Scheduling.WhyNot(silo, unready));
        Assert.Null(Scheduling.WhyNot(executor, unready, isDaemon: true));
        Assert.Equal("the taint node.kubernetes.io/not-ready:NoSchedule", Scheduling.WhyNot(pod, unready));
        Assert.Null(Scheduling.WhyNot(pod, Node(taint: null)));
    }

    [Fact]
    public void Cordoned_and_other_machines_nodes_are_no_place_for_a_silo()
    {
        var silo = Rendered.Set("sqlite").Single<V1StatefulSet>().Spec.Template.Spec;
        Assert.Equal("the taint node.kubernetes.io/unschedulable:NoSchedule", Scheduling.WhyNot(silo, Node("node.kubernetes.io/unschedulable")));
        Assert.Equal("its node affinity", Scheduling.WhyNot(silo, Node(taint: null, architecture: "arm64")));
        silo.NodeSelector = new Dictionary<string, string> { ["cni"] = "distributed" };
        Assert.Equal("nodeSelector cni", Scheduling.WhyNot(silo, Node(taint: null)));
    }

    private static V1Node Node(string? taint, string architecture = "amd64") => new()
    {
        Metadata = new V1ObjectMeta { Labels = new Dictionary<string, string> { ["kubernetes.io/os"] = "linux", ["kubernetes.io/arch"] = architecture } },
        Spec = new V1NodeSpec { Taints = taint is null ? null : [new V1Taint { Key = taint, Effect = "NoSchedule" }] },
    };
}
