using System.Diagnostics;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Tests.Cluster.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Cli;

/// <summary>`ipam` as a process, with settings of its own.</summary>
internal sealed class Ipam
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60); // 1 s on an idle machine.

    private readonly Dictionary<string, string> _settings = new()
    {
        ["AWS_ACCESS_KEY_ID"] = DynamoDbProxy.AccessKey,
        ["AWS_SECRET_ACCESS_KEY"] = "y",
        ["Cluster__Name"] = "test",
        ["Ec2__Region"] = "us-east-1",
        ["Ec2__VpcId"] = "vpc-0123456789abcdef0",
    };

    private readonly DynamoDbLocal? _dynamo;

    /// <summary>On a SQLite file.</summary>
    public Ipam(string path) => _settings["Storage__Path"] = path;

    /// <summary>On DynamoDB Local, in its namespace.</summary>
    public Ipam(DynamoDbLocal dynamo, StorageOptions store)
    {
        _dynamo = dynamo;
        _settings["Storage__Provider"] = StorageOptions.DynamoDb;
        _settings["Storage__ServiceUrl"] = store.ServiceUrl!;
        _settings["Storage__AddressTable"] = store.AddressTable;
        _settings["Storage__HistoryTable"] = store.HistoryTable;
        _settings["Storage__GrainTable"] = store.GrainTable;
        _settings["Storage__MembershipTable"] = store.MembershipTable;
        _settings["Storage__AttemptDeadline"] = _settings["Storage__DocumentDeadline"] = "00:00:10"; // Not about time.
    }

    /// <summary>The same with another setting; null: without it.</summary>
    public Ipam With(string name, string? value)
    {
        _settings.Remove(name);
        if (value is not null)
        {
            _settings[name] = value;
        }

        return this;
    }

    /// <summary>Runs it.</summary>
    /// <param name="words">After `ipam`.</param>
    public Task<Ended> RunAsync(params string[] words) => RunWithInputAsync("", words);

    /// <summary>The same, with something to read.</summary>
    public Task<Ended> RunWithInputAsync(string input, params string[] words) => RunAsync(Prepare([Silo, "ipam", .. words]), input);

    /// <summary>Runs a script of the shell that calls `silo`.</summary>
    /// <param name="folder">Where it runs.</param>
    public Task<Ended> RunScriptAsync(string script, string folder)
    {
        var start = Prepare(["sh", "-euc", script]);
        start.WorkingDirectory = folder;
        start.Environment["PATH"] = $"{AppContext.BaseDirectory}:{Environment.GetEnvironmentVariable("PATH")}";
        return RunAsync(start, "");
    }

    /// <summary>A silo with the same settings, not an `ipam`, in DynamoDB's namespace. Its log goes to a file.</summary>
    public Process StartSilo(string log) => Process.Start(WithSettings(_dynamo!.Inside(log, Silo)))!;

    private static string Silo { get; } = Path.Combine(AppContext.BaseDirectory, "silo");

    private ProcessStartInfo Prepare(string[] words) =>
        WithSettings(_dynamo is null ? new ProcessStartInfo(words[0], words[1..]) : new ProcessStartInfo("nsenter", [$"--net={_dynamo.NetworkNamespacePath()}", .. words]));

    private ProcessStartInfo WithSettings(ProcessStartInfo start)
    {
        foreach (var (name, value) in _settings)
        {
            start.Environment[name] = value;
        }

        return start;
    }

    private static async Task<Ended> RunAsync(ProcessStartInfo start, string input)
    {
        start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
        using var process = Process.Start(start)!;
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        try
        {
            await process.StandardInput.WriteAsync(input);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It has ended without reading all of it.
        }

        try
        {
            await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(Patience);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }

        return new Ended(process.ExitCode, await output, await errors);
    }

    /// <summary>How it ended.</summary>
    public sealed record Ended(int ExitCode, string Output, string Errors)
    {
        /// <summary>Of its output, without the spaces between columns.</summary>
        public IReadOnlyList<string> Lines { get; } = [.. Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries)))];
    }
}
