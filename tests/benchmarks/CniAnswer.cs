using System.Text.Json;

namespace AwsVpcCni.Benchmarks;

/// <summary>What is needed of an ADD's result.</summary>
internal static class CniAnswer
{
    /// <summary>The pod's address, without the prefix length.</summary>
    public static string Address(string result)
    {
        using var json = JsonDocument.Parse(result);
        return json.RootElement.GetProperty("ips")[0].GetProperty("address").GetString()!.Split('/')[0];
    }

    /// <summary>The node's end of the pod's veth.</summary>
    public static string HostLink(string result)
    {
        using var json = JsonDocument.Parse(result);
        return json.RootElement.GetProperty("interfaces")[0].GetProperty("name").GetString()!;
    }
}
