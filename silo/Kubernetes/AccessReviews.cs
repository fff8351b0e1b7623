using System.Net;
using System.Security.Cryptography;
using System.Text;
using AwsVpcCni.Silo.Options;
using k8s;
using k8s.Autorest;
using k8s.Models;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>Asks the API server whose a token is (TokenReview) and whether he may do it (SubjectAccessReview), as kube-apiserver's own extensions do.</summary>
/// <remarks>Answers are kept under hashes: no token is. A flood of questions is kept from the API server, and of one caller's from the others.</remarks>
internal sealed partial class AccessReviews(ApiServer api, IOptions<HttpOptions> options, TimeProvider time, ILogger<AccessReviews> logger) : IDisposable
{
    /// <summary>So long an answer holds, and a right that was taken away: as for those who delegate to kube-apiserver (k8s.io/apiserver, pkg/server/options: CacheTTL, AllowCacheTTL, DenyCacheTTL).</summary>
    public static readonly TimeSpan Age = TimeSpan.FromSeconds(10);

    /// <summary>For both questions, and the wait before them.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(5);

    /// <summary>Of each kind of answer.</summary>
    public const int MostKept = 1000;

    // What a stranger can fill is apart from what holds for those who are known.
    private readonly Remembered<V1UserInfo> _known = new(MostKept, Age, time);
    private readonly Remembered<Access.Unknown> _unknown = new(MostKept, Age, time);
    private readonly Remembered<Access.Granted> _granted = new(MostKept, Age, time);
    private readonly Remembered<Access.Denied> _denied = new(MostKept, Age, time);
    private readonly ReviewTurns _turns = new();

    private bool _isAway;

    /// <summary>Whether the token's owner may do it.</summary>
    /// <param name="verb">Of HTTP, in small letters: <c>get</c>.</param>
    /// <param name="path">As rules name it under <c>nonResourceURLs</c>.</param>
    /// <param name="caller">Where the question comes from.</param>
    /// <param name="gone">Nobody waits for it any more.</param>
    public async Task<Access> AskAsync(string token, string verb, string path, IPAddress caller, CancellationToken gone)
    {
        var (ofToken, ofQuestion) = (Hash(token), Hash($"{verb} {path} {token}"));
        if (Find(ofToken, ofQuestion) is { } kept)
        {
            return kept;
        }

        using var deadline = new CancellationTokenSource(Deadline, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(gone, deadline.Token);
        try
        {
            using var turn = await _turns.TakeAsync(caller, either.Token);
            return !turn.IsAcquired ? new Access.Busy()
                : Find(ofToken, ofQuestion) ?? await ReviewAsync(token, verb, path, ofToken, ofQuestion, either.Token); // Somebody may have asked meanwhile.
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            return Away($"no answer within {Deadline.TotalSeconds} s");
        }
        catch (HttpOperationException e)
        {
            // Only what is said of us: whatever else it answers might repeat the token.
            return Away(e.Response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden ? $"{(int)e.Response.StatusCode} {e.Response.Content}" : $"{(int)e.Response.StatusCode}");
        }
        catch (Exception e) when (e is HttpRequestException or IOException or KubernetesException or System.Text.Json.JsonException or UnauthorizedAccessException)
        {
            return Away(e.GetBaseException().Message);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _turns.Dispose();

    private Access? Find(string ofToken, string ofQuestion) =>
        _unknown.TryFind(ofToken, out var unknown) ? unknown
        : !_known.TryFind(ofToken, out _) ? null // A right holds no longer than its token.
        : _granted.TryFind(ofQuestion, out var granted) ? granted
        : _denied.TryFind(ofQuestion, out var denied) ? denied
        : null;

    private async Task<Access> ReviewAsync(string token, string verb, string path, string ofToken, string ofQuestion, CancellationToken cancellation)
    {
        if (!_known.TryFind(ofToken, out var user))
        {
            (user, var why) = await WhoseAsync(token, cancellation);
            if (user is null)
            {
                var unknown = new Access.Unknown(why);
                _unknown.Keep(ofToken, unknown);
                return unknown;
            }

            _known.Keep(ofToken, user);
        }

        var review = await api.Client.AuthorizationV1.CreateSubjectAccessReviewAsync(new V1SubjectAccessReview
        {
            Spec = new V1SubjectAccessReviewSpec
            {
                User = user.Username, Groups = user.Groups, Uid = user.Uid, Extra = user.Extra, NonResourceAttributes = new V1NonResourceAttributes { Verb = verb, Path = path },
            },
        }, cancellationToken: cancellation);
        _isAway = false;
        if (review.Status is { Allowed: true } status && status.Denied != true)
        {
            var granted = new Access.Granted(user.Username);
            _granted.Keep(ofQuestion, granted);
            return granted;
        }

        var denied = new Access.Denied(user.Username);
        _denied.Keep(ofQuestion, denied);
        return denied;
    }

    private async Task<(V1UserInfo? User, string Why)> WhoseAsync(string token, CancellationToken cancellation)
    {
        string[]? audiences = string.IsNullOrEmpty(options.Value.Audience) ? null : [options.Value.Audience];
        var status = (await api.Client.AuthenticationV1.CreateTokenReviewAsync(new V1TokenReview { Spec = new V1TokenReviewSpec { Token = token, Audiences = audiences } }, cancellationToken: cancellation)).Status;
        return status is not { Authenticated: true, User.Username.Length: > 0 } ? (null, status?.Error ?? "it is nobody's")
            // One that knows no audiences says none: it has not looked.
            : audiences is not null && status.Audiences?.Contains(audiences[0]) != true ? (null, $"the API server does not say that it is for {audiences[0]}")
            : (status.User, "");
    }

    private Access.Away Away(string why)
    {
        if (!_isAway)
        {
            LogAway(why); // Once an outage.
        }

        _isAway = true;
        return new Access.Away();
    }

    private static string Hash(string text) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    [LoggerMessage(EventId = 3521, Level = LogLevel.Warning, Message = "The API server does not say who may ask what on the health port: {Why} (It needs the right to create tokenreviews and subjectaccessreviews.) Whom it has not spoken for in the last 10 s gets 503.")]
    private partial void LogAway(string why);
}
