using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace AwsVpcCni.KubeEmulator;

/// <summary>A Kubernetes API server for tests: objects with list, watch, patch; tokens and who may do what. In plain HTTP on one port; under TLS where it is given sockets.</summary>
/// <remarks>What is not there: admission, validation of objects but events, server-side apply, quotas, other encodings than JSON.</remarks>
public sealed partial class KubeApi : IAsyncDisposable
{
    /// <summary>Bears all rights.</summary>
    public const string AdminToken = "admin";

    private const int CallsKept = 50_000;
    private static readonly TimeSpan BookmarkPeriod = TimeSpan.FromSeconds(1);

    private readonly WebApplication _app;
    private readonly TimeProvider _time;
    private readonly Rights _rights;
    private CancellationTokenSource _up = new();
    private int _reviews;

    private KubeApi(IPEndPoint listen, KubeDoors? doors, TimeProvider time)
    {
        (_time, Objects, Tokens) = (time, new ObjectStore(time), new TokenIssuer(time));
        _rights = new Rights(Objects);
        DefaultRights();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.Configure<KestrelServerOptions>(kestrel =>
        {
            kestrel.Listen(listen, options => options.Protocols = HttpProtocols.Http1);
            foreach (var socket in doors?.Sockets ?? [])
            {
                kestrel.ListenHandle((ulong)socket.Handle, options => options.UseHttps(doors!.Certificate));
            }
        });
        _app = builder.Build();
        _app.Run(AnswerAsync);
    }

    /// <summary>What there is; tests put in and take out here what a cluster's others would.</summary>
    public ObjectStore Objects { get; }

    /// <summary>Issues tokens.</summary>
    public TokenIssuer Tokens { get; }

    /// <summary>Where it listens.</summary>
    public Uri Url { get; private set; } = null!;

    /// <summary>What was asked, the last ones.</summary>
    public ConcurrentQueue<Call> Calls { get; } = new();

    /// <summary>Reviews are answered when it has ended.</summary>
    public Task Reviewing { get; set; } = Task.CompletedTask;

    /// <summary>A watch from a version that is not kept any more is answered with the status 410, as proxies and older servers do; else by an event of the stream.</summary>
    public bool SaysGoneByStatus { get; set; }

    /// <summary>Of reviews that were under way at once, the most.</summary>
    public int MostReviewsAtOnce { get; private set; }

    /// <summary>Starts one.</summary>
    /// <param name="listen">In plain HTTP; null: a free port of loopback.</param>
    /// <param name="doors">Where it listens besides, as pods find an API server.</param>
    public static async Task<KubeApi> StartAsync(TimeProvider time, IPEndPoint? listen = null, KubeDoors? doors = null, CancellationToken cancellation = default)
    {
        var api = new KubeApi(listen ?? new IPEndPoint(IPAddress.Loopback, 0), doors, time);
        await api._app.StartAsync(cancellation);
        api.Url = new Uri(api._app.Urls.First());
        return api;
    }

    /// <summary>Puts an object in, written as JSON.</summary>
    public JsonObject Put(string json) => Objects.Put(JsonNode.Parse(json)!.AsObject());

    /// <summary>A node of EC2.</summary>
    /// <returns>Its UID.</returns>
    public string PutNode(string name, string instanceId, string zone = "eu-west-1a")
    {
        Objects.Remove(ResourceType.All[0], null, name); // One that replaces another has a UID of its own.
        return Put($$$"""
            {"apiVersion":"v1","kind":"Node","metadata":{"name":"{{{name}}}","labels":{"topology.kubernetes.io/zone":"{{{zone}}}","node.kubernetes.io/instance-type":"m5.large"}},
             "spec":{"providerID":"aws:///{{{zone}}}/{{{instanceId}}}"},"status":{"conditions":[]}}
            """)["metadata"]!["uid"]!.GetValue<string>();
    }

    /// <summary>Every connection is cut, and new requests are, until <see cref="ComeUp"/>.</summary>
    public void GoDown() => _up.Cancel();

    /// <summary>It answers again.</summary>
    public void ComeUp() => _up = new CancellationTokenSource();

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _up.CancelAsync();
        await _app.DisposeAsync();
        Tokens.Dispose();
        _up.Dispose();
    }

    private void DefaultRights()
    {
        // As every cluster has them.
        Put("""{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"system:service-account-issuer-discovery"},"rules":[{"nonResourceURLs":["/.well-known/openid-configuration","/openid/v1/jwks"],"verbs":["get"]}]}""");
        Put("""{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"system:service-account-issuer-discovery"},"roleRef":{"kind":"ClusterRole","name":"system:service-account-issuer-discovery"},"subjects":[{"kind":"Group","name":"system:serviceaccounts"}]}""");
        Put("""{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"system:discovery"},"rules":[{"nonResourceURLs":["/api","/api/*","/apis","/apis/*","/version","/healthz","/livez","/readyz"],"verbs":["get"]}]}""");
        Put("""{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"system:discovery"},"roleRef":{"kind":"ClusterRole","name":"system:discovery"},"subjects":[{"kind":"Group","name":"system:authenticated"}]}""");
    }

    private async Task AnswerAsync(HttpContext http)
    {
        var up = _up;
        if (up.IsCancellationRequested)
        {
            http.Abort();
            return;
        }

        using var down = up.Token.Register(http.Abort);
        var path = http.Request.Path.Value!;
        var target = Target.Of(path);
        if (Authenticate(http) is not { } caller)
        {
            Log("", VerbOf(http, target), path, target, http, 401);
            await FailAsync(http, 401, "Unauthorized", "Unauthorized");
            return;
        }

        var review = path is Reviews.TokenReviews or Reviews.AccessReviews or Reviews.SelfAccessReviews;
        var act = review ? new Act("create", path.Split('/')[2], path.Split('/')[4], null, null)
            : target is null ? new Act(http.Request.Method.ToLowerInvariant(), null, null, null, null, path)
            : new Act(VerbOf(http, target), target.Type.Group, target.Subresource is null ? target.Type.Plural : $"{target.Type.Plural}/{target.Subresource}", target.Namespace, target.Name);
        if (path is not Reviews.SelfAccessReviews && !_rights.Allows(caller, act))
        {
            Log(caller.Name, act.Verb, act.Resource ?? path, target, http, 403);
            var what = act.Path is null
                ? $"resource \"{act.Resource}\" in API group \"{act.Group}\" {(act.Namespace is null ? "at the cluster scope" : $"in the namespace \"{act.Namespace}\"")}"
                : $"path \"{path}\"";
            await FailAsync(http, 403, "Forbidden", $"{act.Resource ?? path} is forbidden: User \"{caller.Name}\" cannot {act.Verb} {what}");
            return;
        }

        Log(caller.Name, act.Verb, act.Resource ?? path, target, http, 200);
        try
        {
            await (review ? ReviewAsync(http, path, caller)
                : target is null ? Discovery.AnswerAsync(http, path, Tokens)
                : ServeAsync(http, target, act.Verb));
        }
        catch (Exception e) when (e is FormatException or System.Text.Json.JsonException or InvalidOperationException or ArgumentException)
        {
            await FailAsync(http, 400, "BadRequest", e.Message);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException && http.RequestAborted.IsCancellationRequested)
        {
            // The caller has gone.
        }
    }

    private async Task ReviewAsync(HttpContext http, string path, Caller caller)
    {
        lock (_rights)
        {
            MostReviewsAtOnce = Math.Max(MostReviewsAtOnce, ++_reviews);
        }

        try
        {
            await Reviewing.WaitAsync(http.RequestAborted);
            await Reviews.AnswerAsync(http, path, caller, Tokens, _rights);
        }
        finally
        {
            lock (_rights)
            {
                _reviews--;
            }
        }
    }

    private Caller? Authenticate(HttpContext http)
    {
        if (http.Request.Headers.Authorization.ToString() is not { } header || !header.StartsWith("Bearer ", StringComparison.Ordinal))
        {
            return null;
        }

        var token = header["Bearer ".Length..];
        return token == AdminToken ? new Caller("admin", ["system:masters", "system:authenticated"], IsAdmin: true)
            : Tokens.Check(token, [TokenIssuer.ApiAudience]).Claims is { } claims ? CallerOf(claims)
            : null;
    }

    /// <summary>The account that a token is of.</summary>
    internal static Caller CallerOf(JsonObject claims)
    {
        var name = claims["sub"]!.GetValue<string>();
        return new Caller(name, ["system:serviceaccounts", $"system:serviceaccounts:{name.Split(':')[2]}", "system:authenticated"]);
    }

    private static string VerbOf(HttpContext http, Target? target) => http.Request.Method switch
    {
        "GET" when http.Request.Query["watch"].ToString() is "true" or "1" or "True" => "watch",
        "GET" => target is { Name: null } ? "list" : "get",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => target is { Name: null } ? "deletecollection" : "delete",
        var other => other.ToLowerInvariant(),
    };

    private Task ServeAsync(HttpContext http, Target target, string verb) => (verb, target.Subresource) switch
    {
        ("watch", null) => WatchAsync(http, target),
        ("list", null) => ListAsync(http, target),
        ("get", _) => Objects.Get(target.Type, target.Namespace, target.Name!) is { } item ? WriteAsync(http, item) : NotFoundAsync(http, target),
        ("create", "token") => CreateTokenAsync(http, target),
        ("create", null) => CreateAsync(http, target),
        ("update" or "patch", null or "status") => ChangeAsync(http, target, verb),
        ("delete", null) => DeleteAsync(http, target),
        _ => FailAsync(http, 405, "MethodNotAllowed", "the server does not allow this method on the requested resource"),
    };

    private async Task ListAsync(HttpContext http, Target target)
    {
        var selector = new Selector(http.Request.Query["labelSelector"], http.Request.Query["fieldSelector"]);
        var (all, version) = Objects.List(target.Type, target.Namespace);
        var matching = all.Where(entry => selector.Matches(entry.Item)).ToList();
        if (http.Request.Query["continue"].ToString() is { Length: > 0 } token)
        {
            var after = Encoding.UTF8.GetString(Convert.FromBase64String(token)).Split('|', 2);
            // Pages are of the version of the first one; what has changed since comes by the watch from there.
            (version, matching) = (long.Parse(after[0], CultureInfo.InvariantCulture), [.. matching.Where(entry => string.CompareOrdinal(entry.Key, after[1]) > 0)]);
        }

        var metadata = new JsonObject { ["resourceVersion"] = version.ToString(CultureInfo.InvariantCulture) };
        if (int.TryParse(http.Request.Query["limit"], CultureInfo.InvariantCulture, out var limit) && limit > 0 && matching.Count > limit)
        {
            metadata["continue"] = Convert.ToBase64String(Encoding.UTF8.GetBytes($"{version}|{matching[limit - 1].Key}"));
            metadata["remainingItemCount"] = matching.Count - limit;
            matching = matching[..limit];
        }

        await WriteAsync(http, new JsonObject
        {
            ["kind"] = $"{target.Type.Kind}List", ["apiVersion"] = target.Type.ApiVersion, ["metadata"] = metadata, ["items"] = new JsonArray([.. matching.Select(entry => (JsonNode)entry.Item)]),
        });
    }

    private async Task WatchAsync(HttpContext http, Target target)
    {
        var selector = new Selector(http.Request.Query["labelSelector"], http.Request.Query["fieldSelector"]);
        var bookmarks = http.Request.Query["allowWatchBookmarks"].ToString() is "true" or "True" or "1";
        var version = long.TryParse(http.Request.Query["resourceVersion"], CultureInfo.InvariantCulture, out var from) ? from : Objects.Version;
        var patience = int.TryParse(http.Request.Query["timeoutSeconds"], CultureInfo.InvariantCulture, out var seconds) ? TimeSpan.FromSeconds(seconds) : TimeSpan.FromMinutes(5);
        var started = _time.GetTimestamp();
        if (SaysGoneByStatus && Objects.Since(version, target.Type, target.Namespace) is null)
        {
            await FailAsync(http, 410, "Expired", $"too old resource version: {version}");
            return;
        }

        http.Response.ContentType = "application/json";
        await http.Response.Body.FlushAsync(http.RequestAborted);
        while (_time.GetElapsedTime(started) < patience)
        {
            var changed = Objects.Changed; // Before the look, so that what comes between is not missed.
            if (Objects.Since(version, target.Type, target.Namespace) is not var (changes, now))
            {
                await SendAsync(http, "ERROR", Status(410, "Expired", $"too old resource version: {version}"));
                return;
            }

            foreach (var change in changes)
            {
                var (was, isNow) = (change.Before is not null && selector.Matches(change.Before), change.After is not null && selector.Matches(change.After));
                if (was || isNow)
                {
                    var shown = (JsonObject)(isNow ? change.After : change.After ?? change.Before)!.DeepClone();
                    shown["metadata"]!["resourceVersion"] = change.Version.ToString(CultureInfo.InvariantCulture);
                    await SendAsync(http, (was, isNow) switch { (false, true) => "ADDED", (true, true) => "MODIFIED", _ => "DELETED" }, shown);
                }
            }

            version = now;
            await Task.WhenAny(changed, Task.Delay(BookmarkPeriod, _time, http.RequestAborted));
            http.RequestAborted.ThrowIfCancellationRequested();
            if (bookmarks && !changed.IsCompleted)
            {
                await SendAsync(http, "BOOKMARK", new JsonObject
                {
                    ["kind"] = target.Type.Kind, ["apiVersion"] = target.Type.ApiVersion, ["metadata"] = new JsonObject { ["resourceVersion"] = version.ToString(CultureInfo.InvariantCulture) },
                });
            }
        }
    }

    private static async Task SendAsync(HttpContext http, string type, JsonObject item)
    {
        await http.Response.WriteAsync(new JsonObject { ["type"] = type, ["object"] = item }.ToJsonString() + "\n", http.RequestAborted);
        await http.Response.Body.FlushAsync(http.RequestAborted);
    }

    private async Task CreateAsync(HttpContext http, Target target)
    {
        var item = await ReadAsync(http);
        var metadata = item["metadata"] as JsonObject ?? throw new FormatException("metadata is missing");
        var name = metadata["name"]?.GetValue<string>() ?? $"{metadata["generateName"]?.GetValue<string>() ?? throw new FormatException("name or generateName is required")}{Objects.Version:x5}";
        metadata["name"] = name;
        if (target.Namespace is { } ns)
        {
            metadata["namespace"] = ns;
        }

        if (target.Type.Kind == "Event" && WhyNoEvent(item, name, target.Namespace!) is { } why)
        {
            await FailAsync(http, 422, "Invalid", $"""Event "{name}" is invalid: {why}""");
            return;
        }

        var isThere = false;
        var made = Objects.Change(target.Type, target.Namespace, name, before =>
        {
            isThere = before is not null;
            return before ?? item;
        });
        await (isThere ? FailAsync(http, 409, "AlreadyExists", $"""{target.Type.Plural} "{name}" already exists""") : WriteAsync(http, made!, 201));
    }

    /// <summary>As kube-apiserver has it for those without eventTime: of one namespace with what they are about, or in "default" where that has none. Null: it is one.</summary>
    private static string? WhyNoEvent(JsonObject item, string name, string ns)
    {
        var about = item["involvedObject"] as JsonObject ?? throw new FormatException("involvedObject is missing");
        return (about["namespace"]?.GetValue<string>() ?? "") is var aboutIn && ns != (aboutIn.Length > 0 ? aboutIn : "default") ? "involvedObject.namespace: does not match event.namespace"
            : item["eventTime"] is not null ? "eventTime: such events are not known here; they need reportingComponent, reportingInstance, action and reason"
            : name.Length > 253 || !EventName().IsMatch(name) ? "metadata.name: no lowercase RFC 1123 subdomain"
            : null;
    }

    [GeneratedRegex(@"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\z")]
    private static partial Regex EventName();

    private async Task ChangeAsync(HttpContext http, Target target, string verb)
    {
        var type = http.Request.ContentType ?? "";
        var operations = verb == "patch" && type.StartsWith("application/json-patch+json", StringComparison.Ordinal)
            ? (await JsonNode.ParseAsync(http.Request.Body, cancellationToken: http.RequestAborted))?.AsArray() ?? throw new FormatException("the body is no list of operations") : null;
        if (verb == "patch" && operations is null && !type.StartsWith("application/merge-patch+json", StringComparison.Ordinal) && !type.StartsWith("application/strategic-merge-patch+json", StringComparison.Ordinal))
        {
            await FailAsync(http, 415, "UnsupportedMediaType", $"{type}: the emulator takes merge patches and JSON patches only");
            return;
        }

        var body = operations is null ? await ReadAsync(http) : [];

        var conflict = false;
        var changed = Objects.Change(target.Type, target.Namespace, target.Name!, before =>
        {
            if (before is null)
            {
                return null;
            }

            var expected = body["metadata"]?["resourceVersion"]?.GetValue<string>();
            if (expected is not null && expected != before["metadata"]!["resourceVersion"]!.GetValue<string>())
            {
                conflict = true;
                return before;
            }

            var after = verb == "update" ? (JsonObject)body.DeepClone() : operations is not null ? Patches.Apply((JsonObject)before.DeepClone(), operations) : Patches.Merge((JsonObject)before.DeepClone(), body, type.StartsWith("application/strategic", StringComparison.Ordinal));
            // The status is changed by its own path, and by that nothing else is.
            var (kept, taken) = target.Subresource == "status" ? (before, after) : (after, before);
            var result = (JsonObject)kept.DeepClone();
            result.Remove("status");
            if (taken["status"] is { } status)
            {
                result["status"] = status.DeepClone();
            }

            return result;
        });
        await (changed is null ? NotFoundAsync(http, target)
            : conflict ? FailAsync(http, 409, "Conflict", "the object has been modified; please apply your changes to the latest version and try again")
            : WriteAsync(http, changed));
    }

    private Task DeleteAsync(HttpContext http, Target target) => Objects.Remove(target.Type, target.Namespace, target.Name!)
        ? WriteAsync(http, Status(200, "", "", "Success"))
        : NotFoundAsync(http, target);

    private async Task CreateTokenAsync(HttpContext http, Target target)
    {
        var request = await ReadAsync(http);
        var spec = request["spec"] as JsonObject ?? [];
        var seconds = spec["expirationSeconds"]?.GetValue<int>() ?? 3600;
        (string, string)? node = null;
        if (spec["boundObjectRef"]?["kind"]?.GetValue<string>() == "Pod"
            && Objects.Get(ResourceType.Of("v1", "Pod")!, target.Namespace, spec["boundObjectRef"]!["name"]!.GetValue<string>())?["spec"]?["nodeName"]?.GetValue<string>() is { } name
            && Objects.Get(ResourceType.Of("v1", "Node")!, null, name) is { } bound)
        {
            node = (name, bound["metadata"]!["uid"]!.GetValue<string>());
        }

        var audience = spec["audiences"]?.AsArray().FirstOrDefault()?.GetValue<string>() ?? TokenIssuer.ApiAudience;
        request["status"] = new JsonObject
        {
            ["token"] = Tokens.Issue($"{target.Namespace}/{target.Name}", node, audience, TimeSpan.FromSeconds(seconds)),
            ["expirationTimestamp"] = (_time.GetUtcNow() + TimeSpan.FromSeconds(seconds)).ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture),
        };
        await WriteAsync(http, request, 201);
    }

    /// <summary>The body.</summary>
    internal static async Task<JsonObject> ReadAsync(HttpContext http) =>
        (await JsonNode.ParseAsync(http.Request.Body, cancellationToken: http.RequestAborted))?.AsObject() ?? throw new FormatException("the body is no object");

    /// <summary>An answer.</summary>
    internal static Task WriteAsync(HttpContext http, JsonObject item, int status = 200)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        return http.Response.WriteAsync(item.ToJsonString(), http.RequestAborted);
    }

    /// <summary>A refusal.</summary>
    internal static Task FailAsync(HttpContext http, int code, string reason, string message) => WriteAsync(http, Status(code, reason, message), code);

    private static Task NotFoundAsync(HttpContext http, Target target) => FailAsync(http, 404, "NotFound", $"""{target.Type.Plural} "{target.Name}" not found""");

    private static JsonObject Status(int code, string reason, string message, string status = "Failure") => new()
    {
        ["kind"] = "Status", ["apiVersion"] = "v1", ["metadata"] = new JsonObject(), ["status"] = status, ["message"] = message, ["reason"] = reason, ["code"] = code,
    };

    private void Log(string user, string verb, string resource, Target? target, HttpContext http, int status)
    {
        Calls.Enqueue(new Call(user, verb, resource, target?.Namespace, target?.Name, http.Request.QueryString.Value ?? "", status));
        while (Calls.Count > CallsKept)
        {
            Calls.TryDequeue(out _);
        }
    }
}
