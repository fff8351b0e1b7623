using System.Text.Json;
using System.Text.Json.Serialization;

namespace AwsVpcCni.Grains.Storage;

/// <summary>A document, or a record in one. Silos of two builds write it in turn while a cluster is upgraded.</summary>
public abstract record DocumentPart
{
    /// <summary>What a newer silo wrote and this one does not know.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Unknown { get; set; }
}
