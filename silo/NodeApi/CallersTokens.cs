using AwsVpcCni.Silo.Kubernetes;
using AwsVpcCni.Silo.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace AwsVpcCni.Silo.NodeApi;

/// <summary>A caller's token, led to who can check it: those of a key file by their issuer, the cluster's by what the API server has published.</summary>
/// <remarks>The issuer is read before anything is verified: it chooses by which rules, and each of them checks it again.</remarks>
internal sealed class CallersTokens(NodeApiOptions door, KnownTokens known, ExecutorTokens executors) : TokenHandler
{
    /// <inheritdoc/>
    public override Task<TokenValidationResult> ValidateTokenAsync(string token, TokenValidationParameters validationParameters) =>
        executors.AreTaken && (string.IsNullOrEmpty(door.TokenKeyPath) || IssuerOf(token) != door.TokenIssuer) ? executors.ValidateAsync(token) : known.ValidateTokenAsync(token, validationParameters);

    private static string? IssuerOf(string token)
    {
        try
        {
            return new JsonWebToken(token).Issuer;
        }
        catch (ArgumentException)
        {
            return null; // No token; whoever gets it says so.
        }
    }
}
