using System.Buffers.Text;
using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>A node's namespace with a silo in it, and the executor as a process of its own. All go with it.</summary>
internal sealed class ExecutorNode : IAsyncDisposable
{
    public const string InstanceId = "i-0000000000000000a";
    public const string EniId = "eni-a";
    private const string Mac = "02:00:0a:00:00:0a";
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("executor-test-");
    private readonly TestNode node = new();
    private readonly List<Running> running = [];

    public ExecutorNode()
    {
        TestNode.Run("ip", "-n", node.Name, "link", "add", "ens5", "address", Mac, "type", "veth", "peer", "name", "ens5peer");
        Silo = new FakeSilo(node.Name, [.. Enumerable.Range(0, 5).Select(n => Core.Addressing.Ip.Parse("10.0.0.20") + n)], Mac);
        var claims = Encoding.UTF8.GetBytes($$"""{"aws-vpc-cni/instance-id":"{{InstanceId}}"}""");
        File.WriteAllText(Path("token"), $"e30.{Base64Url.EncodeToString(claims)}.c2ln");
    }

    public FakeSilo Silo { get; }

    /// <summary>Over the executor's other settings, from its next start on.</summary>
    public Dictionary<string, string> Settings { get; } = [];

    /// <summary>A file of the machine that the executor cannot use, from its next start on.</summary>
    public string? Hidden { get; set; }

    /// <summary>Of its namespace.</summary>
    public string Name => node.Name;

    public string Socket => Path("run/executor.sock");

    public string Conflist => Path("net.d/10-aws.conflist");

    public string LeaseFile => Path("state/lease");

    public static async Task<ExecutorNode> StartAsync()
    {
        var started = new ExecutorNode();
        await started.Silo.StartAsync();
        return started;
    }

    public string AddPod(string name) => TestNode.Path(node.AddNamespace(name));

    public void DeletePod(string netns) => node.DeleteNamespace(System.IO.Path.GetFileName(netns));

    public string Ping(string address) => TestNode.Run("nsenter", $"--net={TestNode.Path(node.Name)}", "ping", "-c", "1", "-W", "2", address);

    public string Ip(params string[] arguments) => TestNode.Run("ip", ["-n", node.Name, .. arguments]);

    public string Snapshot() => node.Snapshot();

    /// <summary>Ends when the node shows this again: links go a moment after a DEL's answer.</summary>
    public Task SettleAsync(string snapshot) => SettleAsync(shown => shown == snapshot, snapshot);

    /// <summary>Ends when what the node shows is as wanted.</summary>
    public async Task SettleAsync(Func<string, bool> wanted, string said = "something else")
    {
        var began = Stopwatch.GetTimestamp();
        while (Snapshot() is var shown && !wanted(shown))
        {
            if (Stopwatch.GetElapsedTime(began) > Deadline)
            {
                Xunit.Assert.Equal(said, shown);
            }

            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System); // Not by `ip monitor`: what happens before that listens would be waited for in vain.
        }
    }

    /// <summary>Starts an executor and waits until it serves.</summary>
    public async Task<Running> RunAsync()
    {
        var executor = Launch();
        await executor.SaysAsync("Serving");
        return executor;
    }

    public Running Launch()
    {
        running.Add(new Running(Process.Start(StartOf())!));
        return running[^1];
    }

    /// <summary>The executable with words: it says something and ends.</summary>
    public async Task<(int ExitCode, string Output, string Said)> RunToEndAsync(params string[] words)
    {
        var start = StartOf(words);
        start.RedirectStandardOutput = true;
        using var process = Process.Start(start)!;
        var (output, said) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync().WaitAsync(Deadline);
        return (process.ExitCode, await output, await said);
    }

    private ProcessStartInfo StartOf(params string[] words)
    {
        // With the tests' list of assemblies: theirs is the folder that it is in.
        string Beside(string file) => System.IO.Path.Combine(AppContext.BaseDirectory, file);
        var tests = typeof(ExecutorNode).Assembly.GetName().Name;
        string[] program = Environment.GetEnvironmentVariable("AWS_VPC_CNI_TEST_EXECUTOR") is { Length: > 0 } published
            ? [published]
            : ["dotnet", "exec", "--runtimeconfig", Beside($"{tests}.runtimeconfig.json"), "--depsfile", Beside($"{tests}.deps.json"), Beside("node-executor.dll")];
        string[] without = Hidden is null ? [] : ["unshare", "--mount", "sh", "-c", $"mount --bind /dev/null {Hidden} && exec \"$@\"", "sh"];
        var start = new ProcessStartInfo("nsenter", [$"--net={TestNode.Path(node.Name)}", .. without, .. program, .. words])
        {
            RedirectStandardError = true,
        };
        start.Environment["AWS_VPC_CNI_SILOS"] = "http://127.0.0.1:8001";
        start.Environment["AWS_VPC_CNI_IMDS"] = "http://127.0.0.1:8002";
        start.Environment["AWS_VPC_CNI_TOKEN_FILE"] = Path("token");
        start.Environment["AWS_VPC_CNI_SOCKET"] = Socket;
        start.Environment["AWS_VPC_CNI_STATE_DIR"] = Path("state");
        start.Environment["AWS_VPC_CNI_CONFLIST"] = Conflist;
        start.Environment["AWS_VPC_CNI_PLUGIN_DIR"] = Path("bin");
        foreach (var (name, value) in Settings)
        {
            start.Environment[name] = value;
        }

        return start;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var executor in running)
        {
            await executor.KillAsync();
        }

        await Silo.DisposeAsync();
        node.Dispose();
        folder.Delete(recursive: true);
    }

    private string Path(string name) => System.IO.Path.Combine(folder.FullName, name);

    /// <summary>One executor process.</summary>
    internal sealed class Running(Process process)
    {
        private readonly StringBuilder said = new();

        public int Id => process.Id;

        /// <summary>Waits for a line of its log.</summary>
        public async Task<string> SaysAsync(string text)
        {
            using var deadline = new CancellationTokenSource(Deadline);
            while (await process.StandardError.ReadLineAsync(deadline.Token) is { } line)
            {
                said.AppendLine(line);
                if (line.Contains(text, StringComparison.Ordinal))
                {
                    return line;
                }
            }

            throw new InvalidOperationException($"The executor has ended without saying '{text}':\n{said}");
        }

        public async Task<(int ExitCode, string Said)> EndAsync()
        {
            said.Append(await process.StandardError.ReadToEndAsync().WaitAsync(Deadline));
            await process.WaitForExitAsync().WaitAsync(Deadline);
            return (process.ExitCode, said.ToString());
        }

        public Task<(int ExitCode, string Said)> TerminateAsync()
        {
            TestNode.Run("kill", "-TERM", process.Id.ToString(CultureInfo.InvariantCulture));
            return EndAsync();
        }

        public async Task KillAsync()
        {
            process.Kill();
            await process.WaitForExitAsync().WaitAsync(Deadline);
        }
    }
}
