namespace AwsVpcCni.Silo.Hosting;

/// <summary>What a kubelet or a script asks: <c>/healthz</c>, the process answers; <c>/readyz</c>, it can serve a node.</summary>
internal static class HealthEndpoints
{
    /// <summary>Adds both.</summary>
    public static void MapHealth(this IEndpointRouteBuilder routes)
    {
        var open = routes.MapGroup("").AllowAnonymous(); // A kubelet has no token.
        open.MapGet("/healthz", () => Results.Text("ok\n"));
        open.MapGet("/readyz", async (Readiness readiness, CancellationToken cancellation) =>
            await readiness.WhyNotAsync(cancellation) is { } why
                ? Results.Text($"not ready: {why}\n", statusCode: StatusCodes.Status503ServiceUnavailable)
                : Results.Text("ok\n"));
    }
}
