using System.Text.Json;
using AwsVpcCni.CniProtocol;

namespace AwsVpcCni.Tests.Wiring.Fuzz;

/// <summary>What the specification allows a plugin to print.</summary>
internal static class CniAnswer
{
    /// <returns>The error's code; 0 for a success.</returns>
    /// <exception cref="FuzzException">It is none of the defined answers.</exception>
    public static int CodeOf(string command, int exitCode, ReadOnlyMemory<byte> body)
    {
        var shown = $"exit code {exitCode} with: {Oddities.Shown(body.Span)}";
        if (body.Length > Frame.MaxReplyBodySize)
        {
            throw new FuzzException($"{body.Length} bytes are more than a reply can have; {shown}");
        }

        if (exitCode == 0 && body.IsEmpty && command is not ("ADD" or "VERSION"))
        {
            return 0;
        }

        try
        {
            using var document = JsonDocument.Parse(body);
            var root = document.RootElement;
            var version = CniVersions.Parse(root.GetProperty("cniVersion").GetString()) ?? throw new FuzzException($"no version of ours; {shown}");
            switch (exitCode)
            {
                case 0 when command == "ADD":
                    var ours = root.GetProperty("ips").EnumerateArray().Last();
                    var at = root.GetProperty("interfaces")[ours.GetProperty("interface").GetInt32()];
                    return ours.GetProperty("address").GetString()!.EndsWith("/32", StringComparison.Ordinal) && at.GetProperty("sandbox").GetString() is { Length: > 0 }
                        && ours.TryGetProperty("version", out _) == version < CniVersion.V100 ? 0
                        : throw new FuzzException($"no result of an ADD; {shown}");
                case 0 when command == "VERSION" && root.GetProperty("supportedVersions").GetArrayLength() == CniVersions.All.Length:
                    return 0;
                case 1:
                    var code = root.GetProperty("code").GetInt32();
                    return Enum.IsDefined((CniErrorCode)code) && code != (int)CniErrorCode.Internal && root.GetProperty("msg").GetString() is { Length: > 0 } ? code
                        : throw new FuzzException($"an error that is not defined, or a defect; {shown}");
                default:
                    throw new FuzzException($"no answer of a CNI plugin; {shown}");
            }
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or IndexOutOfRangeException)
        {
            throw new FuzzException($"not as the specification has it ({e.Message}); {shown}");
        }
    }
}
