using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using AwsVpcCni.KubeEmulator;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Kubernetes;

/// <summary>kubectl itself, before an emulated API server under TLS: over plain HTTP it sends no token.</summary>
internal sealed class Kubectl : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);
    private static readonly string Programs = Path.Combine(Repository.Root, "artifacts", "helm");
    private static readonly Lazy<Task<(int ExitCode, string Said)>> Fetched = new(() => RunAsync(Path.Combine(Repository.Root, "scripts", "helm.sh"), [Programs], null));

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("avc-kubectl-");
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly X509Certificate2 _certificate;
    private readonly string _program;

    private Kubectl(string major)
    {
        _program = Path.Combine(Programs, major, "kubectl");
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=kubernetes", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
        _certificate = request.CreateSelfSigned(TimeProvider.System.GetUtcNow().AddMinutes(-5), TimeProvider.System.GetUtcNow().AddHours(1));
    }

    public KubeApi Api { get; private set; } = null!;

    /// <summary>Skips the test, saying why, where kubectl cannot be had.</summary>
    /// <param name="major">Of the Helm that it comes with: 3 (kubectl 1.32), 4 (1.35).</param>
    public static async Task<Kubectl> StartOrSkipAsync(string major)
    {
        var (exitCode, said) = await Fetched.Value;
        Assert.SkipUnless(exitCode == 0, $"No kubectl: {said.Trim()}");
        var kubectl = new Kubectl(major);
        File.CreateSymbolicLink(Path.Combine(kubectl._folder.FullName, "kubectl"), kubectl._program);
        kubectl._socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        kubectl._socket.Listen();
        kubectl.Api = await KubeApi.StartAsync(TimeProvider.System, doors: new KubeDoors([kubectl._socket], kubectl._certificate), cancellation: TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(kubectl._folder.FullName, "ca.crt"), kubectl._certificate.ExportCertificatePem(), TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(kubectl._folder.FullName, "config"), $$$"""
            {"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],"users":[{"name":"u","user":{"token":"{{{KubeApi.AdminToken}}}"}}],
             "clusters":[{"name":"c","cluster":{"server":"https://{{{kubectl._socket.LocalEndPoint}}}","certificate-authority":"{{{kubectl._folder.FullName}}}/ca.crt"}}]}
            """, TestContext.Current.CancellationToken);
        return kubectl;
    }

    /// <summary>What it says; it must end well.</summary>
    public async Task<string> SaysAsync(params string[] words)
    {
        var (exitCode, said) = await RunAsync(_program, words, _folder);
        Assert.True(exitCode == 0, said);
        return said;
    }

    /// <summary>What a script of shell says, in which kubectl is this one.</summary>
    public async Task<string> ShellAsync(string script)
    {
        var (exitCode, said) = await RunAsync("bash", ["-euc", script], _folder);
        Assert.True(exitCode == 0, said);
        return said;
    }

    public async ValueTask DisposeAsync()
    {
        await Api.DisposeAsync();
        _socket.Dispose();
        _certificate.Dispose();
        _folder.Delete(recursive: true);
    }

    private static async Task<(int ExitCode, string Said)> RunAsync(string program, string[] words, DirectoryInfo? folder)
    {
        var start = new ProcessStartInfo(program, words) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = Repository.Root };
        if (folder is not null)
        {
            start.Environment["KUBECONFIG"] = Path.Combine(folder.FullName, "config");
            start.Environment["HOME"] = folder.FullName; // It keeps what it has discovered.
            start.Environment["PATH"] = $"{folder.FullName}:{Environment.GetEnvironmentVariable("PATH")}";
        }

        using var patience = new CancellationTokenSource(Patience);
        using var process = Process.Start(start)!;
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(patience.Token), process.StandardError.ReadToEndAsync(patience.Token));
        await process.WaitForExitAsync(patience.Token);
        return (process.ExitCode, await output + await errors);
    }
}
