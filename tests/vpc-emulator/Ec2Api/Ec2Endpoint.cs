using System.Text;
using AwsVpcCni.VpcEmulator.Control;
using AwsVpcCni.VpcEmulator.Iam;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

/// <summary>EC2's door: the Query protocol over HTTP. Signatures are not verified, but must be there.</summary>
/// <param name="policies">By access key id. Empty: everybody may do everything; else who has none may do nothing.</param>
internal sealed class Ec2Endpoint(LiveVpc live, Ec2Calls ec2, IReadOnlyDictionary<string, IamPolicy> policies, CallLog calls, Random random, TimeProvider time)
{
    private const int Servers = 3; // So many readers that lag behind, each in its own way (ReadLag).
    private const string Version = "2016-11-15";

    public async Task AnswerAsync(HttpContext context)
    {
        var at = time.GetUtcNow();
        var form = context.Request.HasFormContentType ? await context.Request.ReadFormAsync(context.RequestAborted) : FormCollection.Empty;
        var server = live.Do(_ => random.Next(Servers));
        var request = new RequestParameters(form.ToDictionary(field => field.Key, field => field.Value.ToString())) { Server = $"server-{server}" };
        var call = CallEntry.Of(request, at, calls.NextSequence(), context.Request.Headers["amz-sdk-invocation-id"], context.Request.Headers.Authorization);
        var requestId = live.Do(_ => NewRequestId());
        var outcome = new Outcome();
        CallAnswer<string> answer;
        try
        {
            answer = await RunAsync(new(call.Action, requestId, request, call.Caller), outcome);
        }
        catch (Ec2Exception e)
        {
            answer = new CallAnswer<string>.Refused(e);
        }

        var cut = answer is CallAnswer<string>.Lost;
        var told = answer is CallAnswer<string>.Lost lost ? lost.Untold : answer;
        var error = (told as CallAnswer<string>.Refused)?.Why;
        var body = error is null ? (told as CallAnswer<string>.Done)?.Value : error.IsHtml ? $"<html><body><h1>{error.Status}</h1></body></html>" : Xml.Error(error, requestId);
        var status = body is null ? 0 : error?.Status ?? 200;
        calls.Add(call with
        {
            Status = status,
            Error = error?.Code,
            Cut = cut,
            TokensLeft = outcome.TokensLeft,
            DurationMs = (time.GetUtcNow() - at).TotalMilliseconds,
        });

        if (body is null)
        {
            context.Abort();
            return;
        }

        context.Response.StatusCode = status;
        context.Response.ContentType = error is { IsHtml: true } ? "text/html" : "text/xml;charset=UTF-8";
        context.Response.ContentLength = System.Text.Encoding.UTF8.GetByteCount(body);

        // Kestrel closes the connection of an answer that ends before its announced length.
        await context.Response.WriteAsync(cut ? body[..(body.Length / 2)] : body, context.RequestAborted);
    }

    private async Task<CallAnswer<string>> RunAsync(Call call, Outcome outcome)
    {
        if (call.Caller is null)
        {
            throw Ec2Exception.Of("AuthFailure");
        }

        var read = Ec2Actions.Find(call.Action);
        if (read is null || call.Parameters.Text("Version") != Version)
        {
            throw new Ec2Exception("InvalidAction", $"The action {call.Action} is not valid for this web service (the emulator knows none of this name in {Version}).");
        }

        outcome.TokensLeft = live.Do(_ => ec2.Throttle.Take(call.Action, call.Parameters.IsFilteredOrPaginated));
        var effect = read(call.Parameters);
        var dryRun = Ec2Actions.HasDryRun(call.Action) && call.Parameters.IsDryRun;
        call.Parameters.RefuseUnread();
        if (policies.Count > 0 && live.Do(vpc => Refusal(call, vpc)) is { } refusal)
        {
            throw refusal;
        }

        var course = live.Do(_ => ec2.Admitted(call.Action, vpc =>
            dryRun ? throw Ec2Exception.Of("DryRunOperation") : Xml.Answer(call.Action, call.RequestId, effect(vpc))));
        await PassAsync(course.BeforeEffect);
        live.Do(vpc =>
        {
            course.TakeEffect(vpc);
            return true;
        });
        await live.CarriedOut;
        await PassAsync(course.BeforeAnswer);
        return course.Answer;
    }

    private Ec2Exception? Refusal(Call call, Vpc vpc)
    {
        var policy = policies.GetValueOrDefault(call.Caller!);
        var refused = new Ec2Permissions(vpc).Of(call.Parameters).FirstOrDefault(request => policy?.Allows(request) != true);
        return refused is null ? null : new Ec2Exception(
            "UnauthorizedOperation",
            $"{Ec2Exception.TextOf("UnauthorizedOperation")} {refused.Refusal(vpc.AccountId, call.Caller!)}. "
            + $"Encoded authorization failure message: {Convert.ToBase64String(Encoding.UTF8.GetBytes($"{refused}"))}");
    }

    /// <summary>Not with the caller's token: a call whose caller has gone is still a call.</summary>
    private Task PassAsync(TimeSpan wait) => wait > TimeSpan.Zero ? Task.Delay(wait, time, CancellationToken.None) : Task.CompletedTask;

    private string NewRequestId()
    {
        Span<byte> bytes = stackalloc byte[16];
        random.NextBytes(bytes);
        return new Guid(bytes).ToString();
    }

    /// <param name="Caller">Null: it is not signed.</param>
    private sealed record Call(string Action, string RequestId, RequestParameters Parameters, string? Caller);

    /// <summary>What is known of a call when it ends, well or not.</summary>
    private sealed class Outcome
    {
        public double? TokensLeft { get; set; }
    }
}
