using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace AwsVpcCni.KubeEmulator;

/// <summary>Signs service accounts' tokens as kube-apiserver 1.30 and newer does, and checks them. Written by hand: what checks it elsewhere is a library.</summary>
public sealed class TokenIssuer(TimeProvider time) : IDisposable
{
    /// <summary>The audience of the API server itself.</summary>
    public const string ApiAudience = "https://kubernetes.default.svc";

    private readonly Lock _lock = new();
    private readonly List<(string Id, RSA Key)> _keys = [("key-1", RSA.Create(2048))];
    private int _made = 1;

    /// <summary>The <c>iss</c>.</summary>
    public string Issuer { get; init; } = "https://kubernetes.default.svc.cluster.local";

    /// <summary>From now on a new key signs; the old ones serve until they are withdrawn.</summary>
    public void Rotate()
    {
        lock (_lock)
        {
            _keys.Insert(0, ($"key-{++_made}", RSA.Create(2048)));
        }
    }

    /// <summary>Only the newest key serves from now on.</summary>
    public void WithdrawOldKeys()
    {
        lock (_lock)
        {
            _keys.RemoveRange(1, _keys.Count - 1);
        }
    }

    /// <summary>The keys as JWKS.</summary>
    public JsonObject Keys()
    {
        lock (_lock)
        {
            return new JsonObject
            {
                ["keys"] = new JsonArray([.. _keys.Select(key =>
                {
                    var numbers = key.Key.ExportParameters(includePrivateParameters: false);
                    return (JsonNode)new JsonObject
                    {
                        ["use"] = "sig", ["kty"] = "RSA", ["kid"] = key.Id, ["alg"] = "RS256",
                        ["n"] = Base64Url.EncodeToString(numbers.Modulus), ["e"] = Base64Url.EncodeToString(numbers.Exponent),
                    };
                })]),
            };
        }
    }

    /// <summary>A token of a service account that a pod on a node holds.</summary>
    /// <param name="account">NAMESPACE/NAME.</param>
    /// <param name="node">Null: the claim is left out, as before Kubernetes 1.30 and for tokens without a pod.</param>
    /// <param name="change">Anything else of the claims.</param>
    public string Issue(string account, (string Name, string Uid)? node = null, string audience = ApiAudience, TimeSpan? lifetime = null, TimeSpan? age = null, Action<JsonObject>? change = null)
    {
        var (ns, name) = (account.Split('/')[0], account.Split('/')[1]);
        var issued = time.GetUtcNow() - (age ?? TimeSpan.Zero);
        var bound = new JsonObject { ["namespace"] = ns, ["serviceaccount"] = new JsonObject { ["name"] = name, ["uid"] = "5ca1ab1e-0000-4000-8000-000000000001" } };
        if (node is { } its)
        {
            bound["node"] = new JsonObject { ["name"] = its.Name, ["uid"] = its.Uid };
            bound["pod"] = new JsonObject { ["name"] = $"{name}-x7k2p", ["uid"] = "5ca1ab1e-0000-4000-8000-000000000002" };
        }

        var claims = new JsonObject
        {
            ["aud"] = new JsonArray(audience), ["iss"] = Issuer, ["sub"] = $"system:serviceaccount:{ns}:{name}", ["iat"] = issued.ToUnixTimeSeconds(), ["nbf"] = issued.ToUnixTimeSeconds(),
            ["exp"] = (issued + (lifetime ?? TimeSpan.FromMinutes(10))).ToUnixTimeSeconds(), ["jti"] = Guid.CreateVersion7(issued).ToString(), ["kubernetes.io"] = bound,
        };
        change?.Invoke(claims);
        lock (_lock)
        {
            var (id, key) = _keys[0];
            return Sign(new JsonObject { ["alg"] = "RS256", ["kid"] = id }, claims, key);
        }
    }

    /// <summary>Any header and claims, signed by any key, or by none.</summary>
    public static string Sign(JsonObject header, JsonObject claims, RSA? key)
    {
        var text = $"{Encode(header)}.{Encode(claims)}";
        return $"{text}.{(key is null ? "" : Base64Url.EncodeToString(key.SignData(Encoding.ASCII.GetBytes(text), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)))}";

        static string Encode(JsonObject part) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(part.ToJsonString()));
    }

    /// <summary>The claims of a token of ours; null, and why, of any other.</summary>
    public (JsonObject? Claims, string Why) Check(string token, IReadOnlyCollection<string> audiences)
    {
        try
        {
            var parts = token.Split('.');
            if (parts.Length != 3 || JsonNode.Parse(Base64Url.DecodeFromChars(parts[0])) is not JsonObject header || JsonNode.Parse(Base64Url.DecodeFromChars(parts[1])) is not JsonObject claims)
            {
                return (null, "it is no token");
            }

            lock (_lock)
            {
                var (_, key) = _keys.Find(known => known.Id == header["kid"]?.GetValue<string>());
                if (header["alg"]?.GetValue<string>() != "RS256" || key is null || !key.VerifyData(Encoding.ASCII.GetBytes($"{parts[0]}.{parts[1]}"), Base64Url.DecodeFromChars(parts[2]), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1))
                {
                    return (null, "its signature is not valid");
                }
            }

            return claims["iss"]!.GetValue<string>() != Issuer ? (null, "another issuer's")
                : claims["exp"]!.GetValue<long>() < time.GetUtcNow().ToUnixTimeSeconds() ? (null, "it has expired")
                : !claims["aud"]!.AsArray().Any(audience => audiences.Contains(audience!.GetValue<string>())) ? (null, "another audience's")
                : (claims, "");
        }
        catch (Exception e) when (e is FormatException or System.Text.Json.JsonException or InvalidOperationException or NullReferenceException)
        {
            return (null, $"it cannot be read ({e.Message})");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _keys.ForEach(key => key.Key.Dispose());
}
