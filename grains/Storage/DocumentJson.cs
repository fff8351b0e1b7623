using System.Text.Json;

namespace AwsVpcCni.Grains.Storage;

/// <summary>How grain documents are written: readable JSON with a schema version inside; unknown fields are kept.</summary>
public static class DocumentJson
{
    /// <summary>The name of the grain storage that holds documents.</summary>
    public const string StorageName = "documents";

    /// <summary>For every storage provider.</summary>
    public static JsonSerializerOptions Options { get; } = new(JsonSerializerDefaults.Web);
}
