using System.Diagnostics;
using AwsVpcCni.Tests.EndToEnd.Containerd;
using AwsVpcCni.Tests.EndToEnd.Harness;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Images;

/// <summary>The images that scripts/images.sh makes, under a node's containerd, with the rights that the chart gives their containers.</summary>
internal static class ShippedImage
{
    // All that `ctr run` gives by default: the chart drops ALL.
    private static readonly string[] Dropped =
    [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
    ];

    private static readonly Lazy<Task<(int ExitCode, string Said)>> Made = new(() => ScriptAsync("images.sh", new() { ["TAG"] = "test", ["ARCH"] = "amd64" }));

    /// <summary>As the script names it, with the chart's appVersion.</summary>
    public static string NameOf(string image, string tag = "test") => $"docker.io/aws-vpc-cni-distributed/{image}:{tag}";

    /// <summary>Skips the test, with the reason, where the packages in the image cannot be had.</summary>
    public static async Task MadeOrSkipAsync()
    {
        var (exitCode, said) = await Made.Value;
        Assert.SkipUnless(exitCode == 0, $"No images: {said.Trim()}");
    }

    /// <summary>Images of the next build's silo and executor (scripts/next-build.sh), as <c>silo-TAG</c> and <c>node-executor-TAG</c> for <see cref="ImportAsync"/>. The plugin in it is of this build.</summary>
    public static async Task MakeNextAsync(string tag)
    {
        await MadeOrSkipAsync();
        await RunAsync("next-build.sh", [], []);
        await RunAsync("next-build.sh", ["executor"], []);
        var folder = Path.Combine(Repository.Root, "artifacts", "upgrade");
        await RunAsync("images.sh", [], new()
        {
            ["TAG"] = tag, ["ARCH"] = "amd64", ["SILO"] = Path.Combine(folder, "silo", "bin", "Release", "net10.0"), ["EXECUTOR"] = Path.Combine(folder, "artifacts", "node-executor"),
        });

        static async Task RunAsync(string script, string[] words, Dictionary<string, string> environment)
        {
            var (exitCode, said) = await ScriptAsync(script, environment, words);
            Assert.True(exitCode == 0, said);
        }
    }

    /// <summary>Puts one into a containerd.</summary>
    /// <returns>How a `ctr run` of it begins: read-only, without a capability, with the runtime's own seccomp profile.</returns>
    public static async Task<string[]> ImportAsync(ContainerdNode node, string image)
    {
        await MadeOrSkipAsync();
        var (exitCode, _, stderr) = await Shell.TryAsync(TimeSpan.FromMinutes(3), "ctr", "-a", node.Socket, "-n", "k8s.io", "images", "import", "--snapshotter", "native", Repository.Artifact("images", image + ".tar"));
        Assert.True(exitCode == 0, stderr);
        return ["ctr", "-a", node.Socket, "-n", "k8s.io", "run", "--rm", "--snapshotter", "native", "--net-host", "--read-only", "--seccomp", .. Dropped.SelectMany(capability => new[] { "--cap-drop", capability })];
    }

    /// <summary>What the chart gives an executor beyond that; the work folder stands for the node's folders.</summary>
    public static IEnumerable<string> ExecutorOptions(WorkFolder work, IReadOnlyDictionary<string, string> settings) =>
    [
        "--cap-add", "CAP_NET_ADMIN", "--cap-add", "CAP_SYS_ADMIN",
        "--mount", $"type=bind,src={work.Root},dst={work.Root},options=rbind:rw",
        "--mount", "type=bind,src=/proc/sys/net,dst=/host/proc/sys/net,options=rbind:rw",
        "--env", "AWS_VPC_CNI_PROC_SYS=/host/proc/sys",
        .. settings.SelectMany(setting => new[] { "--env", $"{setting.Key}={setting.Value}" }),
    ];

    private static async Task<(int ExitCode, string Said)> ScriptAsync(string name, Dictionary<string, string> environment, params string[] words)
    {
        var start = new ProcessStartInfo(Path.Combine(Repository.Root, "scripts", name), words) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (variable, value) in environment)
        {
            start.Environment[variable] = value;
        }

        using var process = Process.Start(start)!;
        using var deadline = new CancellationTokenSource(TimeSpan.FromMinutes(10));
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(deadline.Token), process.StandardError.ReadToEndAsync(deadline.Token));
        await process.WaitForExitAsync(deadline.Token);
        return (process.ExitCode, await output + await errors);
    }
}
