using System.CommandLine;
using System.CommandLine.Invocation;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Silo.Cli.Doctor;

namespace AwsVpcCni.Silo.Cli;

/// <summary>The words of the command line: none runs the silo, <c>edge</c> an edge, <c>ipam</c> is the operators' tool.</summary>
internal static class Commands
{
    /// <summary>Does what the words say.</summary>
    /// <returns>The exit code.</returns>
    /// <exception cref="CommandException">The words are wrong, or what they ask for cannot be done.</exception>
    public static Task<int> RunAsync(IReadOnlyList<string> words, Func<Task<int>> runSilo, Func<Task<int>> runEdge)
    {
        var edge = new Command("edge", "Runs the doors without grains, as a client of the silos: the node API, the policy, health. With settings as the silo.");
        edge.SetAction((_, _) => runEdge());
        var root = new RootCommand("The silo of the cluster-wide IP address manager. Without a command it runs, with settings from appsettings.json and the environment.")
        {
            edge,
            new Command("ipam", "Looks into a running silo, makes tokens for nodes, and cares for the store.")
            {
                SubnetsCommand.Create(),
                NodesCommand.Create(),
                NodeCommand.Create(),
                WhoCommand.Create(),
                QuotaCommand.Create(),
                PodsCommand.Create(),
                PolicyCommand.Create(),
                SwitchCommand.Create(SwitchMode.Hold),
                SwitchCommand.Create(SwitchMode.Frozen),
                SwitchCommand.Create(SwitchMode.Normal),
                SwitchCommand.CreateList(),
                KeygenCommand.Create(),
                TokenCommand.Create(),
                TablesCommand.Create(),
                ExportCommand.Create(),
                ImportCommand.Create(),
                DoctorCommand.Create(),
                ReleaseCommand.Create(),
            },
        };
        root.SetAction((_, _) => runSilo());
        var parsed = root.Parse(IsCalledIpam() ? ["ipam", .. words] : words);
        return parsed.Action is ParseErrorAction
            ? throw new CommandException([.. parsed.Errors.Select(error => $"{error.Message} See --help.")])
            // Signals are the host's: it needs longer than a command line library allows.
            : parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
    }

    // A link `ipam -> silo` serves as the tool. The runtime only tells the program's real name, so the kernel is asked.
    private static bool IsCalledIpam() => Path.GetFileName(File.ReadAllText("/proc/self/cmdline").Split('\0')[0]) == "ipam";
}
