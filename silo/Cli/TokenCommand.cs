using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using AwsVpcCni.Silo.NodeApi;
using AwsVpcCni.Silo.Options;

namespace AwsVpcCni.Silo.Cli;

/// <summary><c>ipam token</c>: a node's token from a key file; needs no running silo.</summary>
internal static class TokenCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        var key = new Option<string>("--key") { Description = "The private key (PEM, EC P-256), as `ipam keygen` makes it.", Required = true, HelpName = "FILE" };
        var instance = new Option<string>("--instance") { Description = "The node's instance id.", Required = true, HelpName = "i-..." };
        var lifetime = new Option<string>("--lifetime") { Description = "How long it is good for: a number with s, m, h or d.", DefaultValueFactory = _ => "24h" };
        var issuer = new Option<string>("--issuer") { Description = "As the silo's NodeApi:TokenIssuer.", DefaultValueFactory = _ => new NodeApiOptions().TokenIssuer };
        var command = new Command("token", "Issues a development token: it lets its bearer act as one node.") { key, instance, lifetime, issuer };
        command.SetAction(parsed =>
        {
            Console.Out.WriteLine(Issue(parsed.GetValue(key)!, parsed.GetValue(issuer)!, parsed.GetValue(instance)!, parsed.GetValue(lifetime)!, TimeProvider.System.GetUtcNow()));
            return 0;
        });
        return command;
    }

    /// <summary>The token.</summary>
    /// <exception cref="CommandException">Which word is wrong.</exception>
    public static string Issue(string keyPath, string issuer, string instanceId, string lifetime, DateTimeOffset now)
    {
        if (!NodeTokens.IsInstanceId(instanceId))
        {
            throw new CommandException($"--instance {instanceId} is no instance id such as i-0123456789abcdef0.");
        }

        var duration = Duration(lifetime) ?? throw new CommandException($"--lifetime {lifetime} is no duration such as 90s, 15m, 24h or 7d (at most 366d).");
        using var pair = ECDsa.Create();
        try
        {
            pair.ImportFromPem(File.ReadAllText(keyPath));
            return NodeTokens.Issue(pair, issuer, instanceId, now, duration);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"--key {keyPath}: cannot be read ({e.Message}). `silo ipam keygen --key {keyPath}` makes it.");
        }
        catch (Exception e) when (e is ArgumentException or CryptographicException or InvalidOperationException or NotSupportedException)
        {
            throw new CommandException($"--key {keyPath}: no private EC P-256 key in PEM ({e.Message}). `silo ipam keygen --key FILE` makes one.");
        }
    }

    private static TimeSpan? Duration(string text)
    {
        var seconds = text.Length == 0 ? 0 : text[^1] switch { 's' => 1, 'm' => 60, 'h' => 3600, 'd' => 86400, _ => 0 };
        return seconds > 0 && int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && number > 0 && (long)number * seconds <= 366 * 86400
            ? TimeSpan.FromSeconds((long)number * seconds)
            : null;
    }
}
