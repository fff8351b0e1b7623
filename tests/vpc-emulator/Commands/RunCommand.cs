using System.CommandLine;
using System.CommandLine.Parsing;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Commands;

/// <summary>`vpc-emulator run`: a VPC from a file, until SIGTERM or SIGINT.</summary>
internal static class RunCommand
{
    public static Command Create()
    {
        var vpc = new Option<FileInfo>("--vpc") { Description = "The VPC: region, subnets, groups, instances (JSON).", Required = true };
        var listen = new Option<IPEndPoint>("--listen")
        {
            Description = "Where the EC2 and control APIs answer: http://ADDRESS:PORT. Port 0: any free one.",
            DefaultValueFactory = _ => new IPEndPoint(IPAddress.Loopback, 4566),
            CustomParser = Endpoint,
        };
        var fabric = new Option<string?>("--fabric") { Description = "Make network namespaces PREFIX-NAME and PREFIX-router. Needs root." };
        var callLog = new Option<FileInfo?>("--call-log") { Description = "Write each call there, one JSON object a line." };
        var policy = new Option<Dictionary<string, string>>("--policy")
        {
            Description = "CLUSTER=FILE: who signs with the cluster's name for an access key id may do what the IAM policy in the file grants, and nobody else anything. More than once for more clusters.",
            Arity = ArgumentArity.OneOrMore,
            DefaultValueFactory = _ => [],
            CustomParser = Policies,
        };
        var command = new Command("run", "Run a VPC until SIGTERM.") { vpc, listen, fabric, callLog, policy };
        command.SetAction((parsed, _) => RunAsync(
            parsed.GetRequiredValue(vpc),
            new EmulatorOptions
            {
                Listen = parsed.GetRequiredValue(listen), FabricPrefix = parsed.GetValue(fabric), CallLogPath = parsed.GetValue(callLog)?.FullName, Policies = parsed.GetRequiredValue(policy),
            }));
        return command;
    }

    private static IPEndPoint? Endpoint(ArgumentResult argument)
    {
        const string scheme = "http://";
        var text = argument.Tokens[0].Value;
        if (text.StartsWith(scheme, StringComparison.Ordinal) && IPEndPoint.TryParse(text[scheme.Length..].TrimEnd('/'), out var endpoint))
        {
            return endpoint;
        }

        argument.AddError($"--listen {text}: write http://ADDRESS:PORT with a numeric address.");
        return null;
    }

    private static Dictionary<string, string> Policies(ArgumentResult argument)
    {
        Dictionary<string, string> policies = [];
        foreach (var text in argument.Tokens.Select(token => token.Value))
        {
            if (text.Split('=', 2) is not [{ Length: > 0 } cluster, { Length: > 0 } file] || !policies.TryAdd(cluster, file))
            {
                argument.AddError($"--policy {text}: write CLUSTER=FILE, each cluster once.");
            }
        }

        return policies;
    }

    private static async Task<int> RunAsync(FileInfo vpc, EmulatorOptions options)
    {
        using var stop = new CancellationTokenSource();
        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true;
            stop.Cancel();
        }

        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        try
        {
            await using var emulator = await Emulator.StartAsync(VpcDescription.Read(vpc.FullName), options, stop.Token);
            Console.WriteLine($"vpc-emulator: ready at http://{emulator.Endpoint.Authority}");
            await emulator.Broken.WaitAsync(stop.Token); // Ends by a signal, or by the fabric's failure.
            return 0;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return 0;
        }
        catch (Exception e) when (e is InvalidDataException or IOException or SocketException or Ec2Exception or InvalidOperationException or ArgumentException or FormatException)
        {
            await Console.Error.WriteLineAsync($"vpc-emulator: {e.Message}");
            return 1;
        }
    }
}
