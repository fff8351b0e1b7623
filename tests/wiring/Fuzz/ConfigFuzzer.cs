using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using AwsVpcCni.CniProtocol;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.Tests.Wiring.Fuzz;

/// <summary>A runtime's variables and config, for each command, to the executor's commands with a lease behind them.</summary>
/// <remarks>Checked: each answer is a defined one and never "a defect"; what is valid is accepted; what says the same gets the same; an ADD that
/// has failed holds nothing, and a DEL takes everything.</remarks>
internal sealed class ConfigFuzzer : Fuzzer
{
    private static readonly string[] Netns = ["/run/netns/p1"];
    private static readonly string[] BadNetns = ["", "/run/netns/", "/dev/null", "relative", "/run/netns/\"", "/run/netns/" + new string('"', 130_000), "/run/netns/\xff"];

    private readonly CniWorld world = new();
    private readonly SafeFileHandle netns = File.OpenHandle("/dev/null");

    public override async Task TryAsync(Random random)
    {
        var input = CniInput.Of(random, "c-1", Netns, BadNetns);
        var environment = random.Chance(0.02) ? Oddities.Damaged(random, input.Environment) : input.Environment;
        Input = input.ToString();
        await EndAllAsync();
        var (code, body) = await ServeAsync(input.Command, environment, input.Stdin);
        if (input.IsEnvironmentValid && environment.AsSpan().SequenceEqual(input.Environment))
        {
            CheckCode(input, code);
        }

        if (input is { Distance: Distance.Words, Command: "ADD" })
        {
            await EndAllAsync();
            var (_, plain) = await ServeAsync("ADD", environment, Encoding.UTF8.GetBytes(input.Valid));
            Check(JsonNode.DeepEquals(JsonNode.Parse(body), JsonNode.Parse(plain)), $"the same in other words gives another result: {Encoding.UTF8.GetString(body)} and {Encoding.UTF8.GetString(plain)}");
        }

        Check(code == 0 || input.Command != "ADD" || world.Held == 0, "an ADD that has failed holds something");
        await EndAllAsync();
        Check(world.Held == 0, "something is left after a DEL");
    }

    public override ValueTask DisposeAsync()
    {
        netns.Dispose();
        return base.DisposeAsync();
    }

    private async Task<(int Code, byte[] Body)> ServeAsync(string command, byte[] environment, byte[] stdin)
    {
        var reply = await world.ServeAsync(environment, stdin, netns);
        _ = Frame.WriteReply(reply.ExitCode, reply.Body); // As the socket will.
        return (CniAnswer.CodeOf(reply is { ExitCode: 0, Body.Length: > 0 } ? "ADD" : command is "ADD" && reply.Body.Length == 0 ? "DEL" : command, reply.ExitCode, reply.Body), reply.Body);
    }

    private static void CheckCode(CniInput input, int code)
    {
        var isJson = true;
        try
        {
            using var document = JsonDocument.Parse(input.Stdin);
            isJson = document.RootElement.ValueKind is JsonValueKind.Object;
        }
        catch (JsonException)
        {
            isJson = false;
        }

        var expected = input.Command switch
        {
            "DEL" => 0, // Whatever its config is.
            _ when !isJson => (int)CniErrorCode.DecodingFailure,
            "CHECK" when input.Distance is not Distance.Broken => (int)CniErrorCode.TryAgainLater, // What stands for a namespace is none.
            _ when input.Distance is not Distance.Broken => 0,
            _ => code,
        };
        Check(code == expected, $"code {code} where {expected} is right");
    }

    private async Task EndAllAsync()
    {
        foreach (var sandbox in world.Sandboxes)
        {
            var reply = await world.ServeAsync(Encoding.UTF8.GetBytes($"CNI_COMMAND=DEL\0CNI_CONTAINERID={sandbox.ContainerId}\0CNI_IFNAME={sandbox.IfName}\0"), [], netns);
            Check(reply.ExitCode == 0, "a DEL has failed");
        }

        await world.SettleAsync();
    }
}
