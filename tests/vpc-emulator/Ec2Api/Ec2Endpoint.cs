using AwsVpcCni.VpcEmulator.Control;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

/// <summary>EC2's door: the Query protocol over HTTP. Signatures are not verified, but must be there.</summary>
internal sealed class Ec2Endpoint(LiveVpc live, Throttle throttle, FaultPlan faults, CallLog calls, Random random, TimeProvider time)
{
    private const string Version = "2016-11-15";

    public async Task AnswerAsync(HttpContext context)
    {
        var at = time.GetUtcNow();
        var form = context.Request.HasFormContentType ? await context.Request.ReadFormAsync(context.RequestAborted) : FormCollection.Empty;
        var request = new RequestParameters(form.ToDictionary(field => field.Key, field => field.Value.ToString()));
        var call = CallEntry.Of(request, at, calls.NextSequence(), context.Request.Headers["amz-sdk-invocation-id"]);
        var requestId = live.Do(_ => NewRequestId());
        var outcome = new Outcome();
        string? body;
        try
        {
            body = await RunAsync(new(call.Action, requestId, request, context.Request.Headers.ContainsKey("Authorization")), outcome);
        }
        catch (Ec2Exception e)
        {
            outcome.Error = e;
            body = Xml.Error(e, requestId);
        }

        var status = body is null ? 0 : outcome.Error?.Status ?? 200;
        var cut = outcome.Fault?.Cut ?? false;
        calls.Add(call with
        {
            Status = status,
            Error = outcome.Error?.Code,
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
        context.Response.ContentType = "text/xml;charset=UTF-8";
        context.Response.ContentLength = System.Text.Encoding.UTF8.GetByteCount(body);

        // Kestrel closes the connection of an answer that ends before its announced length.
        await context.Response.WriteAsync(cut ? body[..(body.Length / 2)] : body, context.RequestAborted);
    }

    /// <returns>The answer. Null: none, the connection is to be cut.</returns>
    private async Task<string?> RunAsync(Call call, Outcome outcome)
    {
        if (!call.Signed)
        {
            throw Ec2Exception.Of("AuthFailure");
        }

        var read = Ec2Actions.Find(call.Action);
        if (read is null || call.Parameters.Text("Version") != Version)
        {
            throw new Ec2Exception("InvalidAction", $"The action {call.Action} is not valid for this web service (the emulator knows none of this name in {Version}).");
        }

        outcome.TokensLeft = live.Do(_ => throttle.Take(call.Action, call.Parameters.IsFilteredOrPaginated));
        var effect = read(call.Parameters);
        var dryRun = Ec2Actions.HasDryRun(call.Action) && call.Parameters.IsDryRun;
        call.Parameters.RefuseUnread();
        outcome.Fault = live.Do(_ => faults.Next(call.Action));
        if (outcome.Fault is { Moment: FaultMoment.BeforeEffect } before)
        {
            await MeetAsync(before);
            if (before.Cut)
            {
                return null;
            }
        }

        if (dryRun)
        {
            throw Ec2Exception.Of("DryRunOperation");
        }

        var answer = live.Do(vpc => Xml.Answer(call.Action, call.RequestId, effect(vpc)));
        await live.CarriedOut;
        if (outcome.Fault is { Moment: FaultMoment.AfterEffect } after)
        {
            await MeetAsync(after);
        }

        return answer;
    }

    private async Task MeetAsync(Fault fault)
    {
        if (fault.DelayMs > 0)
        {
            // Not the caller's token: a call whose caller has gone is still a call.
            await Task.Delay(TimeSpan.FromMilliseconds(fault.DelayMs), time, CancellationToken.None);
        }

        if (fault.Code is { } code)
        {
            throw new Ec2Exception(code, fault.Message ?? Ec2Exception.TextOf(code));
        }
    }

    private string NewRequestId()
    {
        Span<byte> bytes = stackalloc byte[16];
        random.NextBytes(bytes);
        return new Guid(bytes).ToString();
    }

    private sealed record Call(string Action, string RequestId, RequestParameters Parameters, bool Signed);

    /// <summary>What is known of a call when it ends, well or not.</summary>
    private sealed class Outcome
    {
        public double? TokensLeft { get; set; }

        public Fault? Fault { get; set; }

        public Ec2Exception? Error { get; set; }
    }
}
