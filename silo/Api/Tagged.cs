using System.Security.Cryptography;
using System.Text.Json;
using AwsVpcCni.Silo.Views;
using Microsoft.AspNetCore.Http.Headers;
using Microsoft.Net.Http.Headers;

namespace AwsVpcCni.Silo.Api;

/// <summary>An answer under its own hash (ETag): who has it already gets 304 and no body.</summary>
internal sealed class Tagged(object body) : IResult
{
    /// <inheritdoc/>
    public async Task ExecuteAsync(HttpContext httpContext)
    {
        var bytes = JsonSerializer.SerializeToUtf8Bytes(body, body.GetType(), ViewJson.Dense);
        var tag = new EntityTagHeaderValue($"\"{Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 16))}\"");
        var (request, response) = (httpContext.Request, httpContext.Response);
        response.GetTypedHeaders().ETag = tag;
        response.Headers.CacheControl = "no-cache"; // It may be kept, and is asked for again each time.
        if (IsHeld(request.GetTypedHeaders(), tag))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        response.ContentType = "application/json";
        response.ContentLength = bytes.Length;
        if (!HttpMethods.IsHead(request.Method))
        {
            await response.Body.WriteAsync(bytes, httpContext.RequestAborted);
        }
    }

    private static bool IsHeld(RequestHeaders headers, EntityTagHeaderValue tag) =>
        headers.IfNoneMatch.Any(held => held.Equals(EntityTagHeaderValue.Any) || held.Compare(tag, useStrongComparison: false));
}
