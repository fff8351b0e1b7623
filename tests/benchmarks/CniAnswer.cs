using System.Text.Json;

namespace AwsVpcCni.Benchmarks;

/// <summary>What is needed of an ADD's result.</summary>
internal static class CniAnswer
{
    /// <summary>The node's end of the pod's veth.</summary>
    public static string HostLink(string result)
    {
        using var json = JsonDocument.Parse(result);
        return json.RootElement.GetProperty("interfaces")[0].GetProperty("name").GetString()!;
    }
}
