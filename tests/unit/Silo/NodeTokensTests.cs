using System.Security.Claims;
using System.Security.Cryptography;
using AwsVpcCni.Silo.Cli;
using AwsVpcCni.Silo.NodeApi;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Time.Testing;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Silo;

public sealed class NodeTokensTests : IDisposable
{
    private const string Node = "i-0123456789abcdef0";
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("avc-tokens-");
    private readonly DateTimeOffset _now = TimeProvider.System.GetUtcNow();

    public NodeTokensTests() => KeygenCommand.Generate(Key);

    private string Key => Path.Combine(_folder.FullName, "key.pem");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task A_token_of_the_tool_is_accepted_and_names_its_node()
    {
        var result = await ValidateAsync(TokenCommand.Issue(Key, "aws-vpc-cni", Node, "24h", _now));

        Assert.True(result.IsValid, result.Exception?.Message);
        Assert.Equal(Node, NodeTokens.InstanceId(new ClaimsPrincipal(result.ClaimsIdentity)));
    }

    [Fact]
    public async Task A_valid_token_is_known_again_until_it_expires_and_a_refused_one_never()
    {
        var time = new FakeTimeProvider(_now);
        var handler = new KnownTokens(time);
        var rules = NodeTokens.Rules(new NodeApiOptions { TokenKeyPath = Key + ".pub" });
        var token = TokenCommand.Issue(Key, "aws-vpc-cni", Node, "1h", _now);
        var forged = token[..^4] + (token.EndsWith("AAAA", StringComparison.Ordinal) ? "BBBB" : "AAAA"); // The same claims under another signature.

        var first = await handler.ValidateTokenAsync(token, rules);
        Assert.True(first.IsValid, first.Exception?.Message);
        Assert.Same(first, await handler.ValidateTokenAsync(token, rules));
        Assert.False((await handler.ValidateTokenAsync(forged, rules)).IsValid);
        Assert.False((await handler.ValidateTokenAsync(forged, rules)).IsValid);
        time.Advance(TimeSpan.FromHours(1) + rules.ClockSkew);
        Assert.NotSame(first, await handler.ValidateTokenAsync(token, rules)); // Validated anew, by the machine's clock.
    }

    [Fact]
    public async Task An_expired_token_is_refused() =>
        Assert.IsType<SecurityTokenExpiredException>((await ValidateAsync(TokenCommand.Issue(Key, "aws-vpc-cni", Node, "60s", _now.AddMinutes(-2)))).Exception);

    [Fact]
    public async Task A_token_of_another_issuer_is_refused() =>
        Assert.IsType<SecurityTokenInvalidIssuerException>((await ValidateAsync(TokenCommand.Issue(Key, "somebody", Node, "24h", _now))).Exception);

    [Fact]
    public async Task A_token_of_another_key_is_refused()
    {
        var other = Path.Combine(_folder.FullName, "other.pem");
        KeygenCommand.Generate(other);

        Assert.False((await ValidateAsync(TokenCommand.Issue(other, "aws-vpc-cni", Node, "24h", _now))).IsValid);
    }

    [Fact]
    public async Task After_a_change_of_keys_both_keys_serve()
    {
        var other = Path.Combine(_folder.FullName, "other.pem");
        KeygenCommand.Generate(other);
        var rules = NodeTokens.Rules(new NodeApiOptions { TokenKeyPath = Joined($"{Key}.pub", $"{other}.pub") });

        foreach (var key in new[] { Key, other })
        {
            Assert.True((await new JsonWebTokenHandler().ValidateTokenAsync(TokenCommand.Issue(key, "aws-vpc-cni", Node, "1h", _now), rules)).IsValid);
        }
    }

    [Fact]
    public void An_rsa_key_is_read_too()
    {
        using var rsa = RSA.Create(2048);
        var path = Path.Combine(_folder.FullName, "rsa.pub");
        File.WriteAllText(path, rsa.ExportSubjectPublicKeyInfoPem());

        Assert.IsType<RsaSecurityKey>(Assert.Single(NodeTokens.Rules(new NodeApiOptions { TokenKeyPath = path }).IssuerSigningKeys));
    }

    [Fact]
    public void A_private_key_for_the_silo_is_refused_with_what_to_give()
    {
        var refused = Assert.Throws<InvalidDataException>(() => NodeTokens.Rules(new NodeApiOptions { TokenKeyPath = Key }));

        Assert.Contains("Give the public key", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("node-1", "24h", "--instance node-1")]
    [InlineData("i-0123456789abcdef0/../i-1", "24h", "--instance")]
    [InlineData(Node, "soon", "--lifetime soon")]
    [InlineData(Node, "0h", "--lifetime 0h")]
    [InlineData(Node, "367d", "--lifetime 367d")]
    public void Wrong_words_are_named(string instance, string lifetime, string said) =>
        Assert.StartsWith(said, Assert.Throws<CommandException>(() => TokenCommand.Issue(Key, "aws-vpc-cni", instance, lifetime, _now)).Message, StringComparison.Ordinal);

    [Fact]
    public void The_private_key_is_for_its_owner_only_and_is_never_overwritten()
    {
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Key));
        var before = File.ReadAllText(Key);

        Assert.Throws<CommandException>(() => KeygenCommand.Generate(Key));
        Assert.Equal(before, File.ReadAllText(Key));
    }

    [Fact]
    public void Two_instance_claims_name_no_node() =>
        Assert.Null(NodeTokens.InstanceId(new ClaimsPrincipal(new ClaimsIdentity([new Claim(NodeTokens.InstanceClaim, Node), new Claim(NodeTokens.InstanceClaim, "i-00000000")]))));

    private Task<TokenValidationResult> ValidateAsync(string token) =>
        new JsonWebTokenHandler().ValidateTokenAsync(token, NodeTokens.Rules(new NodeApiOptions { TokenKeyPath = $"{Key}.pub" }));

    private string Joined(params string[] paths)
    {
        var joined = Path.Combine(_folder.FullName, "joined.pub");
        File.WriteAllText(joined, string.Concat(paths.Select(File.ReadAllText)));
        return joined;
    }
}
