using System.Collections.Immutable;
using System.Text.Json;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Tokens;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>The keys by which the API server signs service accounts' tokens, kept here so that a token is checked without it.</summary>
/// <remarks>Read each <see cref="Period"/>, so that a withdrawn key ends; and at once for a token of an unknown key, since the cluster may have a new one: at most once each
/// <see cref="LeastBetween"/>, however many such tokens come. While the API server is away the last keys hold.</remarks>
internal sealed partial class SigningKeys(ApiServer api, IOptions<KubernetesOptions> options, TimeProvider time, ILogger<SigningKeys> logger) : BackgroundService
{
    /// <summary>Between two looks of the loop.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromMinutes(5);

    /// <summary>Between two looks in all.</summary>
    public static readonly TimeSpan LeastBetween = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestWait = TimeSpan.FromMilliseconds(1000); // Of a node's call, which has 1.5 s.

    private readonly Lock _lock = new();
    private Task _look = Task.CompletedTask;
    private DateTimeOffset _nextLook = DateTimeOffset.MinValue;
    private bool _isAway;

    /// <summary>Null before they have been read once. Another object only when they have changed.</summary>
    public KeySet? Current { get; private set; }

    /// <summary>The keys, after one more look if a token's is not among them.</summary>
    public async Task<KeySet?> ForAsync(string? keyId)
    {
        if (Current is { } known && (keyId is null || known.Keys.ContainsKey(keyId)))
        {
            return known;
        }

        await LookAsync().WaitAsync(LongestWait, time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return Current;
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (options.Value.Enabled && !stoppingToken.IsCancellationRequested)
        {
            await LookAsync();
            await Task.Delay(_isAway ? LeastBetween : Period, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    // One at a time, and not soon again, whoever asks.
    private Task LookAsync()
    {
        lock (_lock)
        {
            if (_look.IsCompleted && time.GetUtcNow() >= _nextLook)
            {
                _nextLook = time.GetUtcNow() + LeastBetween;
                _look = ReadAsync();
            }

            return _look;
        }
    }

    private async Task ReadAsync()
    {
        using var deadline = new CancellationTokenSource(Deadline, time);
        try
        {
            var issuer = options.Value.Issuer ?? IssuerOf(await api.GetTextAsync("/.well-known/openid-configuration", deadline.Token));
            var text = await api.GetTextAsync("/openid/v1/jwks", deadline.Token);
            var keys = JsonWebKeySet.Create(text).GetSigningKeys().Where(key => !string.IsNullOrEmpty(key.KeyId)).ToImmutableDictionary(key => key.KeyId, StringComparer.Ordinal);
            if (keys.IsEmpty)
            {
                throw new InvalidDataException("it has no signing key");
            }

            _isAway = false;
            if (Current is not { } known || known.Issuer != issuer || known.Text != text)
            {
                Current = new KeySet(issuer, text, keys);
                LogRead(issuer, keys.Count);
            }
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException or JsonException or ArgumentException or InvalidDataException or UnauthorizedAccessException)
        {
            if (!_isAway)
            {
                LogAway(e.Message);
            }

            _isAway = true;
        }
    }

    private static string IssuerOf(string document)
    {
        using var read = JsonDocument.Parse(document);
        return read.RootElement.TryGetProperty("issuer", out var issuer) && issuer.GetString() is { Length: > 0 } text ? text : throw new InvalidDataException("its discovery document names no issuer");
    }

    [LoggerMessage(EventId = 3511, Level = LogLevel.Information, Message = "Tokens of {Issuer} are checked with {Count} keys of the API server.")]
    private partial void LogRead(string issuer, int count);

    [LoggerMessage(EventId = 3512, Level = LogLevel.Warning, Message = "The API server's signing keys cannot be read: {Why} The last ones hold; it is tried again each 10 s.")]
    private partial void LogAway(string why);
}

/// <summary>Keys as the API server has published them.</summary>
/// <param name="Text">The JWKS itself: by it a change is seen.</param>
internal sealed record KeySet(string Issuer, string Text, ImmutableDictionary<string, SecurityKey> Keys);
