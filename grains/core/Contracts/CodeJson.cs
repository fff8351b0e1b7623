using System.Text.Json;
using System.Text.Json.Serialization;

namespace AwsVpcCni.Core.Contracts;

/// <summary>A code by its name. One that only a newer version knows is read as the default: the sentence beside it says what it is.</summary>
internal sealed class CodeJson<T> : JsonConverter<T>
    where T : struct, Enum
{
    /// <inheritdoc/>
    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => Enum.TryParse(reader.GetString(), out T code) ? code : default;

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => writer.WriteStringValue(value.ToString());
}
