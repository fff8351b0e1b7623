using System.Net;
using AwsVpcCni.KubeEmulator;
using k8s;
using k8s.Autorest;
using k8s.Models;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Kubernetes;

/// <summary>The emulated API server, by the client that the product uses, unmodified.</summary>
public sealed class KubeApiTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Pages_of_a_list_give_each_object_once()
    {
        await using var api = await KubeApi.StartAsync(TimeProvider.System, cancellation: Cancellation);
        foreach (var number in Enumerable.Range(0, 25))
        {
            api.PutNode($"node-{number:00}", $"i-{number:x8}");
        }

        using var client = Client(api);
        var names = new List<string>();
        string? token = null;
        do
        {
            var page = await client.CoreV1.ListNodeAsync(limit: 10, continueParameter: token, cancellationToken: Cancellation);
            Assert.True(page.Items.Count <= 10);
            names.AddRange(page.Items.Select(node => node.Metadata.Name));
            token = page.Metadata.ContinueProperty;
        }
        while (!string.IsNullOrEmpty(token));

        Assert.Equal(Enumerable.Range(0, 25).Select(number => $"node-{number:00}"), names);
    }

    [Fact]
    public async Task A_watch_by_a_field_shows_what_comes_into_it_and_what_leaves_it_and_bookmarks()
    {
        await using var api = await KubeApi.StartAsync(TimeProvider.System, cancellation: Cancellation);
        using var client = Client(api);
        var pod = new V1Pod { Metadata = new V1ObjectMeta { Name = "p", NamespaceProperty = "default" }, Spec = new V1PodSpec { NodeName = "n", Containers = [] }, Status = new V1PodStatus { Phase = "Pending" } };
        await client.CoreV1.CreateNamespacedPodAsync(pod, "default", cancellationToken: Cancellation);
        var version = (await client.CoreV1.ListPodForAllNamespacesAsync(fieldSelector: "status.phase=Pending,spec.nodeName!=", cancellationToken: Cancellation)).Metadata.ResourceVersion;
        await using var events = client.CoreV1.WatchListPodForAllNamespacesAsync(fieldSelector: "status.phase=Pending,spec.nodeName!=", resourceVersion: version, allowWatchBookmarks: true, cancellationToken: Cancellation)
            .GetAsyncEnumerator(Cancellation);

        await client.CoreV1.PatchNamespacedPodStatusAsync(new V1Patch("""{"status":{"phase":"Running"}}""", V1Patch.PatchType.MergePatch), "p", "default", cancellationToken: Cancellation);
        Assert.Equal(WatchEventType.Deleted, (await NextAsync(events)).Type);
        await client.CoreV1.PatchNamespacedPodStatusAsync(new V1Patch("""{"status":{"phase":"Pending"}}""", V1Patch.PatchType.MergePatch), "p", "default", cancellationToken: Cancellation);
        Assert.Equal(WatchEventType.Added, (await NextAsync(events)).Type);
        api.PutNode("n", "i-00000001");
        Assert.Equal(WatchEventType.Bookmark, (await NextAsync(events)).Type);
    }

    [Fact]
    public async Task A_watch_from_before_a_compaction_gets_410()
    {
        await using var api = await KubeApi.StartAsync(TimeProvider.System, cancellation: Cancellation);
        using var client = Client(api);
        var version = (await client.CoreV1.ListNodeAsync(cancellationToken: Cancellation)).Metadata.ResourceVersion;
        api.PutNode("n", "i-00000001");
        api.Objects.Compact();

        var failed = new TaskCompletionSource<Exception>();
        await foreach (var _ in client.CoreV1.WatchListNodeAsync(resourceVersion: version, onError: e => failed.TrySetResult(e), cancellationToken: Cancellation))
        {
        }

        Assert.Equal(410, Assert.IsType<KubernetesException>(await failed.Task.WaitAsync(Patience, Cancellation)).Status.Code);
    }

    [Fact]
    public async Task A_status_patch_changes_the_status_only_and_merges_conditions_by_their_type()
    {
        await using var api = await KubeApi.StartAsync(TimeProvider.System, cancellation: Cancellation);
        api.PutNode("n", "i-00000001");
        using var client = Client(api);
        foreach (var (type, status) in new[] { ("Ready", "True"), ("NetworkUnavailable", "False"), ("NetworkUnavailable", "True") })
        {
            await client.CoreV1.PatchNodeStatusAsync(new V1Patch(
                $$$"""{"metadata":{"labels":{"by":"status"}},"status":{"conditions":[{"type":"{{{type}}}","status":"{{{status}}}"}]}}""", V1Patch.PatchType.StrategicMergePatch), "n", cancellationToken: Cancellation);
        }

        var node = await client.CoreV1.ReadNodeAsync("n", cancellationToken: Cancellation);
        Assert.Equal([("Ready", "True"), ("NetworkUnavailable", "True")], node.Status.Conditions.Select(condition => (condition.Type, condition.Status)));
        Assert.DoesNotContain("by", node.Metadata.Labels.Keys);
        await client.CoreV1.PatchNodeAsync(new V1Patch("""{"metadata":{"annotations":{"a":"b"}}}""", V1Patch.PatchType.MergePatch), "n", cancellationToken: Cancellation);
        Assert.Equal("b", (await client.CoreV1.ReadNodeAsync("n", cancellationToken: Cancellation)).Metadata.Annotations["a"]);
    }

    [Fact]
    public async Task An_account_may_do_what_its_roles_say_and_a_missing_verb_is_refused_by_name()
    {
        await using var cluster = await Cluster.StartAsync();
        using var silo = Client(cluster.Api, cluster.Api.Tokens.Issue(Cluster.Silo));
        Assert.Single((await silo.CoreV1.ListNodeAsync(cancellationToken: Cancellation)).Items);

        var refused = await Assert.ThrowsAsync<HttpOperationException>(() => silo.CoreV1.PatchNodeAsync(new V1Patch("{}", V1Patch.PatchType.MergePatch), Cluster.NodeName, cancellationToken: Cancellation));
        Assert.Equal(HttpStatusCode.Forbidden, refused.Response.StatusCode);
        Assert.Contains("cannot patch resource", refused.Response.Content, StringComparison.Ordinal);
        using var nobody = Client(cluster.Api, cluster.Api.Tokens.Issue(Cluster.Silo, age: TimeSpan.FromHours(1)));
        Assert.Equal(HttpStatusCode.Unauthorized, (await Assert.ThrowsAsync<HttpOperationException>(() => nobody.CoreV1.ListNodeAsync(cancellationToken: Cancellation))).Response.StatusCode);
    }

    [Fact]
    public async Task Reviews_say_whose_a_token_is_and_what_an_account_may_do()
    {
        await using var cluster = await Cluster.StartAsync();
        using var client = Client(cluster.Api);
        var token = cluster.Api.Tokens.Issue(Cluster.Silo, audience: "operators");

        var known = (await client.AuthenticationV1.CreateTokenReviewAsync(new V1TokenReview { Spec = new V1TokenReviewSpec { Token = token, Audiences = ["operators"] } }, cancellationToken: Cancellation)).Status;
        Assert.True(known.Authenticated);
        Assert.Equal("system:serviceaccount:kube-system:aws-vpc-cni-silo", known.User.Username);
        Assert.NotEqual(true, (await client.AuthenticationV1.CreateTokenReviewAsync(new V1TokenReview { Spec = new V1TokenReviewSpec { Token = token } }, cancellationToken: Cancellation)).Status.Authenticated);
        foreach (var (verb, allowed) in new[] { ("list", true), ("delete", false) })
        {
            var review = await client.AuthorizationV1.CreateSubjectAccessReviewAsync(new V1SubjectAccessReview
            {
                Spec = new V1SubjectAccessReviewSpec { User = known.User.Username, Groups = known.User.Groups, ResourceAttributes = new V1ResourceAttributes { Verb = verb, Resource = "nodes" } },
            }, cancellationToken: Cancellation);
            Assert.Equal(allowed, review.Status.Allowed);
        }
    }

    [Fact]
    public async Task A_pods_token_is_bound_to_the_node_that_the_pod_is_on()
    {
        await using var cluster = await Cluster.StartAsync();
        using var client = Client(cluster.Api);
        await client.CoreV1.CreateNamespacedPodAsync(new V1Pod { Metadata = new V1ObjectMeta { Name = "e" }, Spec = new V1PodSpec { NodeName = Cluster.NodeName, Containers = [] } }, "kube-system", cancellationToken: Cancellation);

        var issued = await client.CoreV1.CreateNamespacedServiceAccountTokenAsync(
            new Authenticationv1TokenRequest { Spec = new V1TokenRequestSpec { Audiences = ["aws-vpc-cni"], ExpirationSeconds = 600, BoundObjectRef = new V1BoundObjectReference { Kind = "Pod", Name = "e" } } },
            "aws-vpc-cni-executor", "kube-system", cancellationToken: Cancellation);

        var (claims, why) = cluster.Api.Tokens.Check(issued.Status.Token, ["aws-vpc-cni"]);
        Assert.Equal("", why);
        Assert.Equal(cluster.NodeUid, claims!["kubernetes.io"]!["node"]!["uid"]!.GetValue<string>());
    }

    internal static k8s.Kubernetes Client(KubeApi api, string token = KubeApi.AdminToken) => new(new KubernetesClientConfiguration { Host = api.Url.ToString(), AccessToken = token });

    private static async Task<(WatchEventType Type, T Item)> NextAsync<T>(IAsyncEnumerator<(WatchEventType Type, T Item)> events)
    {
        Assert.True(await events.MoveNextAsync().AsTask().WaitAsync(Patience, Cancellation));
        return events.Current;
    }
}
