using System.Text;
using System.Text.Json;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>The node's bearer token, read again when its file has changed: tokens live for minutes, and are renewed in place.</summary>
/// <param name="path">Of the file. Kubernetes' projected tokens are links that are swapped, so the time is the target's.</param>
internal sealed class TokenFile(string path)
{
    /// <summary>The claim that says which node grain is the caller's. Only silos verify it.</summary>
    internal const string InstanceClaim = "aws-vpc-cni/instance-id";

    private (DateTime Written, long Length) seen;
    private string token = "";

    /// <exception cref="IOException">There is no such file.</exception>
    internal string Read()
    {
        var file = new FileInfo(path);
        file = file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? file;
        if ((file.LastWriteTimeUtc, file.Length) != seen || token.Length == 0)
        {
            token = File.ReadAllText(path).Trim();
            seen = (file.LastWriteTimeUtc, file.Length);
        }

        return token;
    }

    /// <summary>The instance that the token is for, unverified; null when it says none.</summary>
    internal static string? InstanceOf(string token) =>
        Read(token, InstanceClaim, claim => claim.ValueKind is JsonValueKind.String ? claim.GetString() : null);

    /// <summary>Whether it is a service account's, unverified.</summary>
    internal static bool IsOfKubernetes(string token) => Read(token, "kubernetes.io", claim => claim.ValueKind is JsonValueKind.Object ? "" : null) is not null;

    private static string? Read(string token, string name, Func<JsonElement, string?> text)
    {
        var parts = token.Split('.');
        if (parts.Length != 3)
        {
            return null;
        }

        try
        {
            using var claims = JsonDocument.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(parts[1]));
            return claims.RootElement.ValueKind is JsonValueKind.Object && claims.RootElement.TryGetProperty(name, out var claim) ? text(claim) : null;
        }
        catch (Exception e) when (e is JsonException or FormatException or DecoderFallbackException or InvalidOperationException) // The last by a text that is no Unicode.
        {
            return null;
        }
    }
}
