using System.Globalization;
using System.Text.Json;
using AwsVpcCni.VpcEmulator.Fabric;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Control;

/// <summary>What tests ask of the emulator itself, below `/_emulator/`: ready, calls, state, drops, faults, instances.</summary>
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
                ("POST", "instances") => await LaunchAsync(await ReadAsync<InstanceDescription>(context)),
                ("DELETE", _) when path.StartsWith("instances/", StringComparison.Ordinal) => Terminate(path["instances/".Length..]),
                _ => (object?)null,
            };
            context.Response.StatusCode = answer is null ? 404 : 200;
            await context.Response.WriteAsJsonAsync(
                answer ?? new { error = $"{method} {Path}/{path}: not here. Take GET ready, calls, state, drops (with a fabric), faults; POST or DELETE faults; POST instances; DELETE instances/ID." },
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

    private object Terminate(string instanceId) => live.Do<object>(vpc =>
    {
        vpc.Terminate(instanceId);
        return new { id = instanceId, state = vpc.FindInstance(instanceId)!.State.ToString() };
    });

    private static long After(HttpContext context) =>
        context.Request.Query["after"] is [{ } after] ? long.Parse(after, NumberStyles.None, CultureInfo.InvariantCulture) : 0;

    private static async Task<T> ReadAsync<T>(HttpContext context) =>
        await JsonSerializer.DeserializeAsync<T>(context.Request.Body, VpcDescription.Json, context.RequestAborted)
        ?? throw new ArgumentException("The body is `null`. Send an object.");
}
