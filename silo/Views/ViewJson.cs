using System.Text.Json;
using System.Text.Json.Serialization;

namespace AwsVpcCni.Silo.Views;

/// <summary>How views are written for programs: <c>--json</c> and the HTTP API have the same fields.</summary>
internal static class ViewJson
{
    /// <summary>On one line.</summary>
    public static JsonSerializerOptions Dense { get; } = new(JsonSerializerDefaults.Web) { Converters = { new JsonStringEnumConverter() } };

    /// <summary>For people, too.</summary>
    public static JsonSerializerOptions Indented { get; } = new(Dense) { WriteIndented = true };
}
