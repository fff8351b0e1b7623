using System.CommandLine;
using AwsVpcCni.VpcEmulator.Commands;

namespace AwsVpcCni.VpcEmulator;

/// <summary>Entry point: `vpc-emulator run` and `vpc-emulator check-calls`.</summary>
internal static class Program
{
    private static Task<int> Main(string[] arguments)
    {
        var root = new RootCommand("An AWS VPC on one machine: the EC2 API, the metadata service, and the wires.")
        {
            RunCommand.Create(),
            CheckCallsCommand.Create(),
        };

        // `run` has its own end on a signal: it removes namespaces first, however long that takes.
        return root.Parse(arguments).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });
    }
}
