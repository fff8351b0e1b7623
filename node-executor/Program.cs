using System.Runtime.InteropServices;
using AwsVpcCni.NodeExecutor;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Status;
using AwsVpcCni.NodeExecutor.Wiring;

// What a socket has brought goes on at once, on the thread that noticed it: two switches of threads less in each ADD. Whatever blocks
// (netlink, the lease file) is not reached from there without another switch.
Environment.SetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1");
#pragma warning disable RS0030 // The composition root: here the clock comes from.
var time = TimeProvider.System;
#pragma warning restore RS0030
using var stop = new CancellationTokenSource();
void Stop(PosixSignalContext signal)
{
    signal.Cancel = true; // We end ourselves, after what is being served.
    stop.Cancel();
}

using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
try
{
    if (args is ["status"] or ["status", "--json"])
    {
        await StatusClient.RunAsync(ExecutorSettings.SocketOf(Environment.GetEnvironmentVariable), args.Length > 1, time, Console.Out);
        return 0;
    }

    if (args is ["install", var plugin, var target, .. { Length: <= 1 } others])
    {
        Array.ForEach(others, folder => PluginInstall.RunWhereAbsent(folder, target));
        PluginInstall.Run(plugin, target);
        return 0;
    }

    if (args.Length > 0)
    {
        throw new ExecutorStoppedException($"'{string.Join(' ', args)}' is not known. Without words it serves the node; 'status' shows how it stands with the one that runs, 'status --json' the same for programs; 'install FILE TARGET [FOLDER]' puts the plugin where the runtime looks, and beside it those of the folder that are not there.");
    }

    var settings = ExecutorSettings.Read(Environment.GetEnvironmentVariable);
    await Executor.RunAsync(settings, time, new StderrLogger(settings.LogLevel, time, Console.Error), stop.Token);
    return 0;
}
catch (ExecutorStoppedException e)
{
    await Console.Error.WriteLineAsync($"node-executor: {e.Message}");
    return 1;
}
catch (WiringException e)
{
    await Console.Error.WriteLineAsync($"node-executor: {e.Message} It needs CAP_NET_ADMIN and the host's network namespace.");
    return 1;
}
