using System.Globalization;
using System.Net;
using System.Text.Json;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Views;
using Orleans.Storage;

namespace AwsVpcCni.Silo.Api;

/// <summary>What all doors have in common at which operators change something: loopback only (and behind <see cref="Reviews"/>), a version that was read, each failure as a problem.</summary>
internal static class LocalDoor
{
    /// <summary>For a grain's answer.</summary>
    public static readonly TimeSpan CallDeadline = TimeSpan.FromSeconds(5);

    private const string HowToMatch = "Read it first, and send its ETag as If-Match, such as If-Match: \"3\"";

    /// <summary>A group of its routes. Its places are its own: neither readers nor strangers, who are refused here, must keep operators from switching something off.</summary>
    public static RouteGroupBuilder Map(IEndpointRouteBuilder routes)
    {
        var local = routes.MapGroup("").RequireRateLimiting(ReadersPolicy.Name).WithMetadata(new ReadersPolicy.Places("operators", OffLoopback: "strangers"));
        local.AddEndpointFilter(OnLoopbackAsync);
        return local;
    }

    /// <summary>By the address that a request came in at: Http:Address may be another one, for health checks.</summary>
    public static bool IsOnLoopback(HttpContext http) => http.Connection.LocalIpAddress is { } local && IPAddress.IsLoopback(local);

    private static async ValueTask<object?> OnLoopbackAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next) => IsOnLoopback(context.HttpContext)
        ? await next(context)
        : Problem(StatusCodes.Status403Forbidden, "loopback only",
            $"This came in at {context.HttpContext.Connection.LocalIpAddress}, and what operators change is on loopback only. Ask at 127.0.0.1:{context.HttpContext.Connection.LocalPort} on the silo's machine, with Http:Address at 127.0.0.1 or 0.0.0.0.");

    /// <summary>A refusal.</summary>
    public static IResult Problem(int status, string title, string detail) => Results.Problem(detail, statusCode: status, title: title);

    /// <summary>The version that a change is for; or why it names none.</summary>
    public static (long Expected, IResult? Refusal) VersionOf(HttpRequest request)
    {
        var read = request.Headers.IfMatch.ToString();
        return read.Length == 0 ? (0, Problem(StatusCodes.Status428PreconditionRequired, "If-Match is missing", $"{HowToMatch}."))
            : long.TryParse(read.Trim('"'), NumberStyles.None, CultureInfo.InvariantCulture, out var expected) ? (expected, null)
            : (0, Problem(StatusCodes.Status412PreconditionFailed, "If-Match is no version", $"If-Match is {read}. {HowToMatch}; a change of whatever there is would undo another's unseen."));
    }

    /// <summary>Runs a call.</summary>
    public static async Task<IResult> GuardedAsync(Func<Task<IResult>> call)
    {
        try
        {
            return await call();
        }
        catch (BadQuestionException e)
        {
            return Problem(StatusCodes.Status400BadRequest, "refused", e.Message);
        }
        catch (Exception e) when (e is JsonException or BadHttpRequestException)
        {
            return Problem(StatusCodes.Status400BadRequest, "no JSON", e.Message);
        }
        catch (Exception e) when (e is TimeoutException or StoreException or InconsistentStateException or OrleansException)
        {
            return Problem(StatusCodes.Status503ServiceUnavailable, "not now", $"{e.Message} Read it to see whether it has changed, then try again.");
        }
    }
}
