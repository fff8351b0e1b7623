using AwsVpcCni.KubeletLite;
using k8s.Models;
using Xunit;

namespace AwsVpcCni.Tests.Unit.KubeletLite;

/// <summary>What a pod finds in its volumes.</summary>
public sealed class VolumeFoldersTests : IDisposable
{
    private readonly DirectoryInfo root = Directory.CreateTempSubdirectory("avc-kubelet-");

    private NodeHost Node => Rendered.Node with { Root = root.FullName };

    [Fact]
    public async Task The_executors_token_is_for_the_silos_alone_and_for_root()
    {
        var folders = await Volumes().MakeAsync(Own(Rendered.Executor()));
        Assert.Equal("token of kube-system/cni-aws-vpc-cni-distributed-executor for aws-vpc-cni, 600 s", File.ReadAllText(Path.Combine(folders["token"], "token")));
        Assert.Equal("token of kube-system/cni-aws-vpc-cni-distributed-executor for the API server, 3607 s", File.ReadAllText(Path.Combine(folders["kube-api-access"], "token")));
        Assert.Equal(UnixFileMode.UserRead, Mode(folders["token"], "token"));
        Assert.Equal(("kube-root-ca.crt of kube-system", "kube-system"), (File.ReadAllText(Path.Combine(folders["kube-api-access"], "ca.crt")), File.ReadAllText(Path.Combine(folders["kube-api-access"], "namespace"))));
    }

    [Fact]
    public async Task A_host_path_is_made_where_it_may_be_and_the_kernels_own_are_the_machines()
    {
        var folders = await Volumes().MakeAsync(Own(Rendered.Executor()));
        Assert.Equal((root.FullName + "/opt/cni/bin", root.FullName + "/etc/cni/net.d", "/proc/sys/net"), (folders["cni-bin"], folders["cni-conf"], folders["proc-sys-net"]));
        Assert.True(Directory.Exists(folders["cni-conf"]));

        var pod = Rendered.Pod("""
            automountServiceAccountToken: false
            containers: [{name: one, image: x}]
            volumes: [{name: a, hostPath: {path: /not/there, type: Directory}}]
            """);
        Assert.Contains("/not/there", (await Assert.ThrowsAsync<DirectoryNotFoundException>(() => Volumes().MakeAsync(pod))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_a_secret_only_the_items_that_are_named_are_there_with_the_volumes_mode()
    {
        var pod = Rendered.Pod("""
            automountServiceAccountToken: false
            containers: [{name: one, image: x}]
            volumes:
              - {name: tls, secret: {secretName: certificate, defaultMode: 0440, items: [{key: tls.crt, path: here/cert}]}}
              - {name: map, configMap: {name: settings}}
              - {name: missing, configMap: {name: settings, items: [{key: not-there, path: x}]}}
            """);
        Assert.Contains("settings has no not-there", (await Assert.ThrowsAsync<KeyNotFoundException>(() => Volumes().MakeAsync(pod))).Message, StringComparison.Ordinal);
        pod.Spec.Volumes.RemoveAt(2);

        var folders = await Volumes().MakeAsync(pod);
        Assert.Equal(["cert"], Directory.EnumerateFiles(folders["tls"], "*", SearchOption.AllDirectories).Select(Path.GetFileName));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.GroupRead, Mode(folders["tls"], "here/cert"));
        Assert.Equal("settings of default", File.ReadAllText(Path.Combine(folders["map"], "ca.crt")));
    }

    [Fact]
    public async Task A_claim_outlives_its_pod_and_an_emptyDir_does_not()
    {
        var pod = Own(Rendered.Silo());
        var folders = await Volumes().MakeAsync(pod);
        Volumes().Remove(pod);
        Assert.Equal(root.FullName + "/var/lib/claims/data-cni-aws-vpc-cni-distributed-silo-0", folders["data"]);
        Assert.Equal((true, false), (Directory.Exists(folders["data"]), Directory.Exists(folders["tmp"])));
    }

    public void Dispose() => root.Delete(recursive: true);

    private VolumeFolders Volumes() => new(Node, new ApiReads(
        (ns, name) => Task.FromResult<IDictionary<string, string>>(new Dictionary<string, string> { ["ca.crt"] = $"{name} of {ns}" }),
        (_, name) => Task.FromResult<IDictionary<string, byte[]>>(new Dictionary<string, byte[]> { ["tls.crt"] = [1], ["tls.key"] = [2] }),
        (pod, audience, seconds) => Task.FromResult($"token of {pod.Metadata.NamespaceProperty}/{pod.Spec.ServiceAccountName} for {audience ?? "the API server"}, {seconds} s")));

    // Whoever runs the tests may not be root, who alone gives files away: the users and groups of the chart are the end-to-end test's.
    private static V1Pod Own(V1Pod pod)
    {
        pod.Spec.SecurityContext = null;
        foreach (var container in pod.Spec.Containers.Concat(pod.Spec.InitContainers ?? []))
        {
            container.SecurityContext = null;
        }

        return pod;
    }

    private static UnixFileMode Mode(string folder, string file) => File.GetUnixFileMode(Path.Combine(folder, file));
}
