using System.Collections.Concurrent;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace AwsVpcCni.Silo.NodeApi;

/// <summary>Validates a node's token once and knows it again until it expires: checking its signature takes 0.2 ms, and is on the way of each ADD.</summary>
/// <remarks>The keys are those of the silo's start, so nothing but time can end a token that was valid.</remarks>
internal sealed class KnownTokens(TimeProvider time) : JsonWebTokenHandler
{
    private const int Bound = 20_000; // As many as the door takes connections. Past it, all are validated anew.

    private readonly ConcurrentDictionary<string, TokenValidationResult> _valid = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public override async Task<TokenValidationResult> ValidateTokenAsync(string token, TokenValidationParameters validationParameters)
    {
        if (_valid.TryGetValue(token, out var known))
        {
            if (time.GetUtcNow().UtcDateTime < known.SecurityToken.ValidTo + validationParameters.ClockSkew)
            {
                return known;
            }

            _valid.TryRemove(token, out _);
        }

        var result = await base.ValidateTokenAsync(token, validationParameters);
        if (result.IsValid)
        {
            if (_valid.Count >= Bound)
            {
                _valid.Clear();
            }

            _valid[token] = result;
        }

        return result;
    }
}
