using System.Globalization;
using System.Text.Json;
using AwsVpcCni.VpcEmulator.Ec2Api;
using AwsVpcCni.VpcEmulator.Fabric;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Control;

/// <summary>What tests ask of the emulator itself, below `/_emulator/`: ready, calls, state, drops, faults, lag, hand, instances.</summary>
internal sealed class ControlApi(LiveVpc live, FaultPlan faults, CallLog calls, VpcFabric? fabric)
{
    public const string Path = "/_emulator";

    public async Task AnswerAsync(HttpContext context)
    {
        var (method, path) = (context.Request.Method, context.Request.Path.Value![Path.Length..].Trim('/'));
        try
        {
            var answer = (method, path) switch
            {
                ("GET", "ready") => new { ready = true }, // Nobody listens before.
                ("GET", "calls") => calls.Entries(After(context)),
                ("GET", "state") => live.Do(VpcState.Of),
                ("GET", "drops") when fabric is not null => await fabric.DropCountersAsync(context.RequestAborted),
                ("GET", "faults") => live.Do(_ => faults.Faults.ToList()),
                ("POST", "faults") => Add(await ReadAsync<Fault>(context)),
                ("DELETE", "faults") => Clear(),
                ("GET", "lag") => live.Do(vpc => vpc.Lag),
                ("POST", "lag") => Set(await ReadAsync<ReadLag>(context)),
                ("POST", "hand") => await ByHandAsync(await ReadAsync<Dictionary<string, string>>(context)),
                ("POST", "instances") => await LaunchAsync(await ReadAsync<InstanceDescription>(context)),
                ("POST", _) when path.Split('/') is ["instances", var id, "stop"] => Turn(id, vpc => vpc.Stop(id)),
                ("POST", _) when path.Split('/') is ["instances", var id, "start"] => Turn(id, vpc => vpc.Start(id)),
                ("DELETE", _) when path.StartsWith("instances/", StringComparison.Ordinal) => Turn(path["instances/".Length..], vpc => vpc.Terminate(path["instances/".Length..])),
                _ => (object?)null,
            };
            context.Response.StatusCode = answer is null ? 404 : 200;
            await context.Response.WriteAsJsonAsync(
                answer ?? new { error = $"{method} {Path}/{path}: not here. Take GET ready, calls, state, drops (with a fabric), faults, lag; POST or DELETE faults; POST lag, hand, instances, instances/ID/stop, instances/ID/start; DELETE instances/ID." },
                CallEntry.Json,
                context.RequestAborted);
        }
        catch (Exception e) when (e is Ec2Exception or JsonException or ArgumentException or FormatException or InvalidDataException)
        {
            context.Response.StatusCode = 400;
            await context.Response.WriteAsJsonAsync(new { error = e.Message }, CallEntry.Json, context.RequestAborted);
        }
    }

    private object Add(Fault fault) => live.Do<object>(_ =>
    {
        faults.Add(fault);
        return fault;
    });

    private object Clear() => live.Do<object>(_ =>
    {
        faults.Clear();
        return new { cleared = true };
    });

    private async Task<object> LaunchAsync(InstanceDescription description)
    {
        var launched = live.Do(vpc =>
        {
            var instance = vpc.Launch(description);
            var eni = vpc.EnisOf(instance).First();
            return new { id = instance.Id, name = instance.Name, eni = eni.Id, mac = eni.Mac, addresses = eni.Addresses.Select(address => address.ToString()).ToList() };
        });
        await live.CarriedOut;
        return launched;
    }

    private object Turn(string instanceId, Action<Vpc> turn) => live.Do<object>(vpc =>
    {
        turn(vpc);
        return new { id = instanceId, state = vpc.FindInstance(instanceId)!.State.ToString() };
    });

    private object Set(ReadLag lag) => live.Do<object>(vpc => vpc.Lag = lag);

    /// <summary>Someone in a console: an action of EC2's by its wire parameters, past buckets, faults, latency and call log.</summary>
    private async Task<object> ByHandAsync(Dictionary<string, string> parameters)
    {
        var request = new RequestParameters(parameters);
        var effect = (Ec2Actions.Find(request.Action) ?? throw new ArgumentException($"Action `{request.Action}`: the emulator knows none of this name."))(request);
        request.RefuseUnread();
        var answer = live.Do(vpc => Xml.Answer(request.Action, "by-hand", effect(vpc)));
        await live.CarriedOut;
        return new { answer };
    }

    private static long After(HttpContext context) =>
        context.Request.Query["after"] is [{ } after] ? long.Parse(after, NumberStyles.None, CultureInfo.InvariantCulture) : 0;

    private static async Task<T> ReadAsync<T>(HttpContext context) =>
        await JsonSerializer.DeserializeAsync<T>(context.Request.Body, VpcDescription.Json, context.RequestAborted)
        ?? throw new ArgumentException("The body is `null`. Send an object.");
}
