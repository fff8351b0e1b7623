using System.Security.Claims;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using AwsVpcCni.Silo.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace AwsVpcCni.Silo.NodeApi;

/// <summary>Which node is calling: a signed token names its instance, and nothing else in a request does.</summary>
internal static partial class NodeTokens
{
    /// <summary>The <c>aud</c> of a node's token.</summary>
    public const string Audience = "aws-vpc-cni";

    /// <summary>The claim with the instance id.</summary>
    public const string InstanceClaim = "aws-vpc-cni/instance-id";

    /// <summary>Clocks of one fleet differ by less; an expired token must not live much longer.</summary>
    public static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(10);

    /// <summary>What a token must be to be accepted.</summary>
    /// <exception cref="InvalidDataException">The key file holds no usable public key.</exception>
    public static TokenValidationParameters Rules(NodeApiOptions options) => new()
    {
        ValidIssuer = options.TokenIssuer,
        ValidAudience = Audience,
        IssuerSigningKeys = ReadPublicKeys(options.TokenKeyPath!),
        ValidAlgorithms = [SecurityAlgorithms.EcdsaSha256, SecurityAlgorithms.RsaSha256],
        RequireExpirationTime = true,
        RequireSignedTokens = true,
        ClockSkew = ClockSkew,
    };

    /// <summary>A token for one node.</summary>
    /// <param name="key">Private, EC P-256.</param>
    /// <param name="now">UTC.</param>
    public static string Issue(ECDsa key, string issuer, string instanceId, DateTimeOffset now, TimeSpan lifetime) =>
        new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor
        {
            Issuer = issuer,
            Audience = Audience,
            Claims = new Dictionary<string, object> { [JwtRegisteredClaimNames.Sub] = instanceId, [InstanceClaim] = instanceId },
            IssuedAt = now.UtcDateTime,
            NotBefore = now.UtcDateTime,
            Expires = (now + lifetime).UtcDateTime,
            SigningCredentials = new SigningCredentials(new ECDsaSecurityKey(key), SecurityAlgorithms.EcdsaSha256),
        });

    /// <summary>The instance that the caller's token names; null when it names none.</summary>
    public static string? InstanceId(ClaimsPrincipal caller) =>
        caller.FindAll(InstanceClaim).ToList() is [{ Value: var id }] && IsInstanceId(id) ? id : null;

    /// <summary>Whether it has the form of EC2's instance ids.</summary>
    public static bool IsInstanceId(string text) => InstanceIdForm().IsMatch(text);

    private static List<SecurityKey> ReadPublicKeys(string path)
    {
        List<SecurityKey> keys = [];
        var rest = File.ReadAllText(path).AsSpan();
        try
        {
            while (PemEncoding.TryFind(rest, out var fields))
            {
                if (rest[fields.Label] is "PUBLIC KEY")
                {
                    keys.Add(ReadPublicKey(rest[fields.Location].ToString()));
                }

                rest = rest[fields.Location.End..];
            }
        }
        catch (CryptographicException e)
        {
            throw new InvalidDataException($"NodeApi:TokenKeyPath {path}: a key cannot be read ({e.Message}). Give PEM blocks PUBLIC KEY with EC P-256 or RSA keys.", e);
        }

        return keys is [] ? throw new InvalidDataException($"NodeApi:TokenKeyPath {path}: no PEM block PUBLIC KEY in it. Give the public key (`silo ipam keygen` writes it beside the private one, as FILE.pub).") : keys;
    }

    private static SecurityKey ReadPublicKey(string pem)
    {
        var ec = ECDsa.Create();
        try
        {
            ec.ImportFromPem(pem);
            return new ECDsaSecurityKey(ec);
        }
        catch (CryptographicException)
        {
            ec.Dispose();
            var rsa = RSA.Create();
            rsa.ImportFromPem(pem);
            return new RsaSecurityKey(rsa);
        }
    }

    [GeneratedRegex("^i-[0-9a-f]{8,17}$")]
    private static partial Regex InstanceIdForm();
}
