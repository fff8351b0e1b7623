using AwsVpcCni.Silo.Kubernetes;
using k8s.Models;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Silo.Kubernetes;

public sealed class BoundPodsTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private readonly BoundPods _pods = new();

    public static TheoryData<string, V1Pod, bool> Kinds => new()
    {
        { "bound and pending", Pod("a"), true },
        { "without a status yet", Changed(pod => pod.Status = null), true },
        { "not bound", Changed(pod => pod.Spec.NodeName = null), false },
        { "on the host's network", Changed(pod => pod.Spec.HostNetwork = true), false },
        { "with an address", Changed(pod => pod.Status.PodIP = "10.0.0.9"), false },
        { "running", Changed(pod => pod.Status.Phase = "Running"), false },
        { "refused by kubelet", Changed(pod => pod.Status.Phase = "Failed"), false },
        { "being deleted", Changed(pod => pod.Metadata.DeletionTimestamp = Now.UtcDateTime), false },
    };

    [Theory, MemberData(nameof(Kinds), DisableDiscoveryEnumeration = true)]
    public void A_pod_counts_while_it_is_bound_and_has_no_address(string what, V1Pod pod, bool counts)
    {
        _pods.Put(pod, Now);
        Assert.True(counts == (Due().Count > 0), what);
    }

    [Fact]
    public void Each_instance_is_told_of_all_its_pods_when_they_change_and_again_when_asked()
    {
        _pods.Put(Pod("a"), Now);
        _pods.Put(Pod("b"), Now);
        _pods.Put(Pod("c", node: "n2"), Now);
        Assert.Equal(["i-n1: a b", "i-n2: c"], Due());
        Assert.Empty(Due());
        Assert.Equal(["i-n1: a b", "i-n2: c"], Due(again: true));

        _pods.Remove(Pod("b"));
        Assert.Equal(["i-n1: a"], Due());
        _pods.Reset([Pod("c", node: "n2")], Now);
        Assert.Equal(["i-n1: "], Due());
        Assert.Equal(["i-n2: c"], Due(again: true)); // Nothing is said twice of nothing.
    }

    [Fact]
    public void What_has_not_begun_in_five_minutes_counts_no_longer_whether_or_not_it_is_listed_again()
    {
        _pods.Put(Pod("a"), Now);
        Assert.Single(Due());
        _pods.Reset([Pod("a")], Now.AddMinutes(4));
        Assert.Equal(["i-n1: "], Due(later: BoundPods.Counts));

        _pods.Put(Pod("a", uid: "another"), Now + BoundPods.Counts);
        Assert.Equal(["i-n1: a"], Due(later: BoundPods.Counts));
    }

    [Fact] // Its grain has moved: an empty word would overtake what that silo says.
    public void Whose_grain_is_elsewhere_is_told_nothing()
    {
        _pods.Put(Pod("a"), Now);
        Assert.Empty(Due(isHere: false));
        Assert.Single(Due());
        Assert.Empty(Due(isHere: false));
        Assert.Single(Due());
    }

    private List<string> Due(bool isHere = true, bool again = false, TimeSpan later = default) =>
        [.. _pods.Due(node => $"i-{node}", _ => isHere, again, Now + later).Select(one => $"{one.InstanceId}: {string.Join(' ', one.Pods.Select(pod => pod.Name))}").Order(StringComparer.Ordinal)];

    private static V1Pod Pod(string name, string node = "n1", string uid = "uid") => new()
    {
        Metadata = new V1ObjectMeta { NamespaceProperty = "default", Name = name, Uid = uid }, Spec = new V1PodSpec { NodeName = node }, Status = new V1PodStatus { Phase = "Pending" },
    };

    private static V1Pod Changed(Action<V1Pod> change)
    {
        var pod = Pod("a");
        change(pod);
        return pod;
    }
}
