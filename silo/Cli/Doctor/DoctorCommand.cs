using System.CommandLine;
using System.Runtime.CompilerServices;
using Amazon.Runtime;
using AwsVpcCni.Grains;
using AwsVpcCni.Silo.Ec2;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Storage.DynamoDb;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Cli.Doctor;

/// <summary><c>ipam doctor</c>: whether all is there that a silo needs, before it is started; changes nothing.</summary>
internal static class DoctorCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        var json = new Option<bool>("--json") { Description = "Write JSON, not a line for each." };
        var command = new Command(
            "doctor", "Checks what a silo needs before it is started: settings, keys, ports, store, EC2, what its role may do, the clock. Changes nothing. Exit code 1 when something fails.") { json };
        command.SetAction(async (parsed, cancellation) =>
        {
            List<Finding> findings = [];
            await foreach (var finding in LookAsync(cancellation))
            {
                findings.Add(finding);
                if (!parsed.GetValue(json))
                {
                    await Console.Out.WriteLineAsync($"{finding}");
                }
            }

            if (parsed.GetValue(json))
            {
                Output.WriteJson<Finding>([.. findings], Console.Out);
            }

            return findings.Any(finding => finding.Outcome == Outcome.Failed) ? 1 : 0;
        });
        return command;
    }

    private static async IAsyncEnumerable<Finding> LookAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        var settings = CommandParts.Settings();
        if (SiloSettings.Errors(settings) is { Count: > 0 } errors)
        {
            foreach (var error in errors)
            {
                yield return new Finding("settings", Outcome.Failed, error);
            }

            yield return new Finding("everything else", Outcome.NotTried, "It depends on the settings. Correct them, then look again.");
            yield break;
        }

        yield return new Finding("settings", Outcome.Ok, "each is understood");
        var clock = new ClockWatch(TimeProvider.System);
        await using var parts = CommandParts.Of(settings).AddSingleton<HttpClientFactory>(clock).AddSingleton<DynamoDbChecks>().BuildServiceProvider();
        foreach (var finding in LocalChecks.Look(parts))
        {
            yield return finding;
        }

        if (parts.GetService<Tables>() is null)
        {
            yield return SqliteCheck.Look(parts.GetRequiredService<IOptions<StorageOptions>>().Value.Path);
        }
        else
        {
            await foreach (var finding in parts.GetRequiredService<DynamoDbChecks>().LookAsync(cancellation))
            {
                yield return finding;
            }
        }

        var ec2 = new Ec2Checks(Ec2Setup.Connect(parts), Ec2Setup.Connect(parts, dryRun: true), parts.GetRequiredService<ClusterSettings>());
        await foreach (var finding in ec2.LookAsync(cancellation))
        {
            yield return finding;
        }

        foreach (var finding in clock.Look())
        {
            yield return finding;
        }
    }
}
