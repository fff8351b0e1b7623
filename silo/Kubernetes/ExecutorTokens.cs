using System.Collections.Concurrent;
using System.Security.Claims;
using System.Text.Json;
using AwsVpcCni.Silo.NodeApi;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>Which node is calling, by the projected token of the executors' service account (Kubernetes 1.30 and newer).</summary>
/// <remarks>Signature, issuer, audience, times, service account and bound node are checked here, without the API server. The token names its node by name and UID; which instance that is
/// comes from the Node object alone, asked again at each call: when the node is replaced, the old one's token ends at once. That its pod was deleted is not seen: it lives for its 10 minutes.</remarks>
internal sealed class ExecutorTokens(SigningKeys keys, NodeTable nodes, IOptions<KubernetesOptions> options, TimeProvider time)
{
    private const string BoundClaim = "kubernetes.io";
    private const int Bound = 20_000; // As many as the door takes connections. Past it, all are validated anew.

    private static readonly string[] Algorithms =
    [
        SecurityAlgorithms.RsaSha256, SecurityAlgorithms.RsaSha384, SecurityAlgorithms.RsaSha512, SecurityAlgorithms.EcdsaSha256, SecurityAlgorithms.EcdsaSha384, SecurityAlgorithms.EcdsaSha512,
    ];

    private readonly ConcurrentDictionary<string, Valid> _valid = new(StringComparer.Ordinal);
    private readonly JsonWebTokenHandler _handler = new();

    /// <summary>Whether such tokens are taken at all.</summary>
    public bool AreTaken => options.Value.Enabled;

    /// <summary>The caller, with the claim <see cref="NodeTokens.InstanceClaim"/> and no other; or why not.</summary>
    public async Task<TokenValidationResult> ValidateAsync(string token)
    {
        try
        {
            var valid = await CheckAsync(token);
            if (!nodes.IsFilled)
            {
                throw new NotKnownYetException("The cluster's nodes have not been read yet: the API server does not answer this silo. Ask another one, or again.");
            }

            return nodes.InstanceOf(valid.Node, valid.NodeUid, out var why) is { } instance
                ? new TokenValidationResult { IsValid = true, SecurityToken = valid.Token, ClaimsIdentity = new ClaimsIdentity([new Claim(NodeTokens.InstanceClaim, instance)], "kubernetes") }
                : throw new SecurityTokenException(why);
        }
        catch (Exception e) when (e is SecurityTokenException or ArgumentException or NotKnownYetException)
        {
            return new TokenValidationResult { IsValid = false, Exception = e };
        }
    }

    private async Task<Valid> CheckAsync(string token)
    {
        if (_valid.TryGetValue(token, out var known) && ReferenceEquals(known.Keys, keys.Current) && time.GetUtcNow().UtcDateTime < known.Token.ValidTo + NodeTokens.ClockSkew)
        {
            return known;
        }

        _valid.TryRemove(token, out _);
        var set = await keys.ForAsync(_handler.ReadJsonWebToken(token).Kid) ?? throw new NotKnownYetException("The cluster's signing keys have not been read yet: the API server does not answer this silo. Ask another one, or again.");
        var result = await _handler.ValidateTokenAsync(token, new TokenValidationParameters
        {
            ValidIssuer = set.Issuer,
            ValidAudience = options.Value.Audience,
            // By its id, not by trying: an unknown one is refused without arithmetic.
            IssuerSigningKeyResolver = (_, _, keyId, _) => keyId is not null && set.Keys.TryGetValue(keyId, out var key) ? [key] : [],
            ValidAlgorithms = Algorithms,
            RequireExpirationTime = true,
            RequireSignedTokens = true,
            ClockSkew = NodeTokens.ClockSkew,
        });
        if (!result.IsValid)
        {
            throw result.Exception;
        }

        var valid = Read((JsonWebToken)result.SecurityToken, set);
        if (_valid.Count >= Bound)
        {
            _valid.Clear();
        }

        _valid[token] = valid;
        return valid;
    }

    private Valid Read(JsonWebToken token, KeySet set)
    {
        var account = options.Value.ExecutorServiceAccount.Split('/');
        if (token.Subject != $"system:serviceaccount:{account[0]}:{account[1]}")
        {
            throw new SecurityTokenException($"it is of {token.Subject}, and executors are {options.Value.ExecutorServiceAccount} (Kubernetes:ExecutorServiceAccount).");
        }

        if (token.TryGetPayloadValue<JsonElement>(BoundClaim, out var bound) && bound.ValueKind is JsonValueKind.Object
            && Text(bound, "pod", "uid") is not null && Text(bound, "node", "name") is { } name && Text(bound, "node", "uid") is { } uid)
        {
            return new Valid(token, name, uid, set);
        }

        throw new SecurityTokenException($"its claim {BoundClaim} names no pod with its node's name and UID: it must be a pod's projected token, of Kubernetes 1.30 or newer.");
    }

    private static string? Text(JsonElement bound, string of, string name) =>
        bound.TryGetProperty(of, out var part) && part.ValueKind is JsonValueKind.Object && part.TryGetProperty(name, out var text) && text.ValueKind is JsonValueKind.String && text.GetString() is { Length: > 0 } it ? it : null;

    private sealed record Valid(JsonWebToken Token, string Node, string NodeUid, KeySet Keys);
}

/// <summary>This silo cannot tell yet; another may.</summary>
internal sealed class NotKnownYetException(string message) : Exception(message);
