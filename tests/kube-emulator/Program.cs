using System.Net;
using System.Text.Json.Nodes;

namespace AwsVpcCni.KubeEmulator;

/// <summary>Entry point: <c>kube-emulator [ADDRESS:PORT] [OBJECTS.json ...]</c>; each file holds one object or an array of them.</summary>
internal static class Program
{
    private static async Task<int> Main(string[] arguments)
    {
        var listen = arguments is [var first, ..] && IPEndPoint.TryParse(first, out var endpoint) ? endpoint : null;
        await using var api = await KubeApi.StartAsync(TimeProvider.System, listen);
        foreach (var path in arguments.Skip(listen is null ? 0 : 1))
        {
            var content = JsonNode.Parse(await File.ReadAllTextAsync(path));
            foreach (var item in content as JsonArray ?? [content?.DeepClone()])
            {
                api.Objects.Put(item!.AsObject());
            }
        }

        Console.WriteLine($"{api.Url} with the token {KubeApi.AdminToken}");
        var end = new TaskCompletionSource();
        Console.CancelKeyPress += (_, pressed) =>
        {
            pressed.Cancel = true;
            end.TrySetResult();
        };
        using var terminated = System.Runtime.InteropServices.PosixSignalRegistration.Create(System.Runtime.InteropServices.PosixSignal.SIGTERM, signal =>
        {
            signal.Cancel = true;
            end.TrySetResult();
        });
        await end.Task;
        return 0;
    }
}
