namespace AwsVpcCni.Tests.EndToEnd.Harness;

/// <summary>For what another program becomes and tells nobody: its readiness. Where there is a signal, await that.</summary>
internal static class Eventually
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <param name="what">Ends the sentence "Waited 30 s for ...".</param>
    /// <param name="whyNot">Null when it holds; else what was seen, for the exception's text.</param>
    public static async Task HoldsAsync(string what, TimeSpan patience, Func<CancellationToken, Task<string?>> whyNot)
    {
        using var deadline = new CancellationTokenSource(patience);
        var seen = "nothing";
        try
        {
            while (await whyNot(deadline.Token) is { } reason)
            {
                seen = reason;
                await Task.Delay(Pause, TimeProvider.System, deadline.Token);
            }
        }
        catch (OperationCanceledException e) when (deadline.IsCancellationRequested)
        {
            throw new TimeoutException($"Waited {patience.TotalSeconds} s for {what}; last seen: {seen}.", e);
        }
    }
}
