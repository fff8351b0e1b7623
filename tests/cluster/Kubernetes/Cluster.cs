using System.Diagnostics;
using AwsVpcCni.KubeEmulator;
using AwsVpcCni.Tests.Cluster.NodeApi;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Kubernetes;

/// <summary>An emulated API server with one node, the rights that the docs ask for, and a silo's door that uses it.</summary>
internal sealed class Cluster : IAsyncDisposable
{
    public const string Executors = "kube-system/aws-vpc-cni-executor";
    public const string Silo = "kube-system/aws-vpc-cni-silo";
    public const string NodeName = "ip-10-0-0-7.eu-west-1.compute.internal";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("avc-kube-");

    private Cluster(KubeApi api) => Api = api;

    public KubeApi Api { get; }

    /// <summary>Of the node at the start.</summary>
    public string NodeUid { get; private set; } = "";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static async Task<Cluster> StartAsync()
    {
        var cluster = new Cluster(await KubeApi.StartAsync(TimeProvider.System, cancellation: Cancellation));
        cluster.Allow(Silo, """[{"apiGroups":[""],"resources":["nodes"],"verbs":["list","watch"]},{"apiGroups":["authentication.k8s.io"],"resources":["tokenreviews"],"verbs":["create"]},{"apiGroups":["authorization.k8s.io"],"resources":["subjectaccessreviews"],"verbs":["create"]}]""");
        cluster.NodeUid = cluster.Api.PutNode(NodeName, Door.Node);
        await cluster.RenewSilosTokenAsync();
        return cluster;
    }

    /// <summary>As kubelet does.</summary>
    public Task RenewSilosTokenAsync() => File.WriteAllTextAsync(Path.Combine(_folder.FullName, "token"), Api.Tokens.Issue(Silo, lifetime: TimeSpan.FromHours(1)), Cancellation);

    /// <summary>Gives an account rights in the whole cluster.</summary>
    public void Allow(string account, string rules)
    {
        var name = account.Replace('/', '-');
        Api.Put($$"""{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"{{name}}"},"rules":{{rules}}}""");
        Api.Put($$$"""{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"{{{name}}}"},"roleRef":{"kind":"ClusterRole","name":"{{{name}}}"},"subjects":[{"kind":"ServiceAccount","namespace":"{{{account.Split('/')[0]}}}","name":"{{{account.Split('/')[1]}}}"}]}""");
    }

    /// <summary>A silo's settings for this cluster.</summary>
    public (string Name, string Value)[] Settings => [("Kubernetes:Enabled", "true"), ("Kubernetes:ApiServer", Api.Url.ToString()), ("Kubernetes:TokenPath", Path.Combine(_folder.FullName, "token"))];

    /// <summary>A door that has read keys and nodes.</summary>
    public async Task<Door> OpenDoorAsync(params (string Name, string Value)[] more)
    {
        var door = await Door.OpenAsync(_ => [.. Settings, .. more]);
        await UntilAsync(() => Task.FromResult(Api.Calls.Any(call => call is { Resource: "nodes", Verb: "watch" }) && Api.Calls.Any(call => call.Resource == "/openid/v1/jwks")), "the silo reads nodes and keys", () => string.Join("; ", Api.Calls));
        return door;
    }

    /// <summary>As the projected volume of an executor's pod has it.</summary>
    public string Token(string? node = null, string? uid = null, string audience = "aws-vpc-cni", TimeSpan? age = null) =>
        Api.Tokens.Issue(Executors, (node ?? NodeName, uid ?? NodeUid), audience, age: age);

    /// <summary>Asks again until it is so.</summary>
    public static async Task UntilAsync(Func<Task<bool>> isSo, string what, Func<string>? seen = null)
    {
        var since = Stopwatch.StartNew();
        while (!await isSo())
        {
            Assert.True(since.Elapsed < Patience, $"not within {Patience.TotalSeconds} s: {what}; {seen?.Invoke()}");
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Cancellation);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Api.DisposeAsync();
        _folder.Delete(recursive: true);
    }
}
