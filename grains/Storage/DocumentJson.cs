using System.Text.Json;

namespace AwsVpcCni.Grains.Storage;

/// <summary>How grain documents are written: readable JSON with a schema version inside; unknown fields are kept.</summary>
public static class DocumentJson
{
    /// <summary>The name of the grain storage that holds documents.</summary>
    public const string StorageName = "documents";

    /// <summary>For every storage provider.</summary>
    public static JsonSerializerOptions Options { get; } = new(JsonSerializerDefaults.Web);

    /// <summary>A stored document.</summary>
    /// <exception cref="StoreException">It is not one of this version.</exception>
    public static T Read<T>(string json, string stateName, GrainId grainId)
    {
        try
        {
            return JsonSerializer.Deserialize<T>(json, Options) ?? throw new JsonException("it is null");
        }
        catch (JsonException e)
        {
            throw new StoreException($"{stateName} of {grainId}: the stored document cannot be understood ({e.Message}). Run the silo version that wrote it, or restore a copy of the store.", e);
        }
    }
}
