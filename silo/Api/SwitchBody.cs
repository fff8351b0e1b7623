using System.Text.Json;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Silo.Views;

namespace AwsVpcCni.Silo.Api;

/// <summary>What a switching brings.</summary>
internal sealed record SwitchBody(SwitchMode Mode, string Who, string Why)
{
    private const string Example = """{"mode":"hold","who":"...","why":"..."}""";

    /// <summary>Reads it, whatever the request calls its content.</summary>
    /// <exception cref="JsonException">It is no JSON.</exception>
    /// <exception cref="BadQuestionException">Something in it cannot be.</exception>
    public static async Task<SwitchBody> ReadAsync(Stream stream, CancellationToken cancellation)
    {
        using var document = await JsonDocument.ParseAsync(stream, default, cancellation);
        try
        {
            if (Twice.In(document.RootElement) is { } twice)
            {
                throw new BadQuestionException($"{twice} is in the body twice; send each name once.");
            }

            var sent = document.RootElement.ValueKind == JsonValueKind.Object
                ? document.RootElement.EnumerateObject().ToDictionary(field => field.Name, field => field.Value, StringComparer.OrdinalIgnoreCase)
                : throw new BadQuestionException($"The body is {document.RootElement.GetRawText()}; send {Example}.");
            if (sent.Keys.FirstOrDefault(name => name.ToLowerInvariant() is not ("mode" or "who" or "why")) is { } other)
            {
                throw new BadQuestionException($"{other} is not known. Send {Example}.");
            }

            return new SwitchBody(Asked.Mode(Text("mode")), Asked.Text(Text("who"), "who", Asked.MostWho), Asked.Text(Text("why"), "why", Asked.MostWhy));
            string? Text(string name) => !sent.TryGetValue(name, out var value) ? null : value.ValueKind == JsonValueKind.String ? value.GetString() : value.GetRawText();
        }
        catch (InvalidOperationException e)
        {
            throw new JsonException("a text in it is no Unicode", e); // Half of a surrogate pair, or not UTF-8.
        }
    }
}
