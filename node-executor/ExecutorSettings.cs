using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization;
using AwsVpcCni.CniProtocol;
using AwsVpcCni.NodeExecutor.Cni;
using AwsVpcCni.NodeExecutor.Lease;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor;

/// <summary>What an executor is told at its start: a JSON file, and over it environment variables.</summary>
internal sealed record ExecutorSettings
{
    internal const string Prefix = "AWS_VPC_CNI_";
    private const string DefaultFile = "/etc/aws-vpc-cni/executor.json";

    internal required ImmutableArray<Uri> Silos { get; init; }

    /// <summary>Where <see cref="Silos"/> is empty: who tells them.</summary>
    internal SiloServiceSettings? SiloService { get; init; }

    internal required string TokenFile { get; init; }

    internal string? CaFile { get; init; }

    internal required string Socket { get; init; }

    internal required string StateDirectory { get; init; }

    internal required string Conflist { get; init; }

    /// <summary>The list's cniVersion: from 1.1.0 on runtimes ask for STATUS.</summary>
    internal required string ConflistVersion { get; init; }

    /// <summary>Where the runtime finds plugins.</summary>
    internal required string PluginDirectory { get; init; }

    /// <summary>Plugins behind ours in the list, in their order.</summary>
    internal required ImmutableArray<string> Chained { get; init; }

    internal required Uri Imds { get; init; }

    internal required HostNetworkSettings Host { get; init; }

    /// <summary>Where the kernel's switches can be written.</summary>
    internal required string ProcSys { get; init; }

    internal LogLevel LogLevel { get; init; }

    /// <summary>Where Prometheus finds metrics; null: nowhere.</summary>
    internal IPEndPoint? Metrics { get; init; }

    /// <exception cref="ExecutorStoppedException">Every setting that is wrong, and how to set it right.</exception>
    internal static ExecutorSettings Read(Func<string, string?> environment)
    {
        var errors = new List<string>();
        var file = ReadFile(environment(Prefix + "CONFIG") is { Length: > 0 } named ? named : null, errors);
        string? Text(string name, string? fromFile) => environment(Prefix + name) is { Length: > 0 } set ? set : fromFile;

        var silos = (Text("SILOS", file.Silos is null ? null : string.Join(',', file.Silos)) ?? "")
            .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(text => Address(text, "SILOS", errors)).ToImmutableArray();
        var caFile = Text("CA_FILE", file.CaFile);
        var serviceErrors = errors.Count;
        var service = SiloServiceSettings.Read(name => Text(name, name switch
        {
            "SILO_SERVICE" => file.SiloService,
            "API_SERVER" => file.ApiServer,
            "API_TOKEN_FILE" => file.ApiTokenFile,
            _ => file.ApiCaFile,
        }), environment, isTls: caFile is not null, errors);
        if (silos.IsEmpty && service is null && errors.Count == serviceErrors)
        {
            errors.Add($"{Prefix}SILOS is not set: the silos' node API addresses with commas between, such as http://10.0.0.4:8440; in Kubernetes set {Prefix}SILO_SERVICE to their service.");
        }
        else if (!silos.IsEmpty && service is not null)
        {
            errors.Add($"{Prefix}SILOS and {Prefix}SILO_SERVICE are both set; unset one of them.");
        }

        var token = Text("TOKEN_FILE", file.TokenFile);
        if (token is null)
        {
            errors.Add($"{Prefix}TOKEN_FILE is not set: the path of the node's token; 'ipam token' issues one.");
        }

        var levelText = Text("LOG_LEVEL", file.LogLevel) ?? nameof(LogLevel.Information);
        if (!Enum.TryParse<LogLevel>(levelText, ignoreCase: true, out var level))
        {
            errors.Add($"{Prefix}LOG_LEVEL={levelText} is none of {string.Join(", ", Enum.GetNames<LogLevel>())}.");
        }

        var metricsText = Text("METRICS_ADDRESS", file.MetricsAddress) ?? "127.0.0.1:61678"; // The reference's port.
        var metrics = IPEndPoint.TryParse(metricsText, out var at) && at is { Port: > 0, AddressFamily: AddressFamily.InterNetwork } ? at : null;
        if (metrics is null && metricsText != "none")
        {
            errors.Add($"{Prefix}METRICS_ADDRESS={metricsText} is not possible: an IPv4 address and a port such as 127.0.0.1:61678, or none.");
        }

        var version = Text("CONFLIST_VERSION", file.ConflistVersion) ?? "1.0.0"; // containerd 1.x takes no newer one.
        if (version is not ("1.0.0" or "1.1.0"))
        {
            errors.Add($"{Prefix}CONFLIST_VERSION={version} is not possible: 1.0.0, or 1.1.0 where runtime and chained plugins know it (containerd 2.1, CNI plugins 1.6).");
        }

        var chained = Text("CHAINED", file.Chained is null ? null : string.Join(',', file.Chained));
        if (version != "1.0.0" && chained is null)
        {
            errors.Add($"{Prefix}CONFLIST_VERSION={version} needs {Prefix}CHAINED: plugins that know that version, such as portmap of CNI plugins 1.6 (an older one would fail every ADD), or none.");
        }

        var disable = environment("DISABLE_METRICS") is { Length: > 0 } disableText ? disableText : "false";
        if (HostNetworkSettings.FlagOf(disable) is not { } areMetricsOff)
        {
            errors.Add($"DISABLE_METRICS={disable} is not possible: true or false.");
            areMetricsOff = false;
        }

        var plugins = Text("PLUGIN_DIR", file.PluginDirectory) ?? "/opt/cni/bin";
        var settings = new ExecutorSettings
        {
            Silos = silos,
            TokenFile = token ?? "",
            SiloService = service,
            CaFile = caFile,
            Socket = Text("SOCKET", file.Socket) ?? Frame.DefaultSocketPath,
            StateDirectory = Text("STATE_DIR", file.StateDirectory) ?? "/var/lib/aws-vpc-cni",
            Conflist = Text("CONFLIST", file.Conflist) ?? "/etc/cni/net.d/10-aws.conflist",
            ConflistVersion = version,
            PluginDirectory = plugins,
            Chained = ChainedPlugins.Read(chained, plugins, errors),
            Imds = Address(Text("IMDS", file.Imds) ?? "http://169.254.169.254", "IMDS", errors),
            ProcSys = Text("PROC_SYS", file.ProcSys) ?? "/proc/sys",
            Host = HostNetworkSettings.Read(environment, file, errors),
            LogLevel = level,
            Metrics = areMetricsOff ? null : metrics,
        };
        return errors.Count == 0 ? settings : throw new ExecutorStoppedException($"The settings are not usable:\n  {string.Join("\n  ", errors)}");
    }

    /// <summary>Where the executor's socket is, for who asks it: the rest may be missing.</summary>
    /// <exception cref="ExecutorStoppedException">The settings file cannot be read.</exception>
    internal static string SocketOf(Func<string, string?> environment)
    {
        var errors = new List<string>();
        var socket = environment(Prefix + "SOCKET") is { Length: > 0 } set ? set
            : ReadFile(environment(Prefix + "CONFIG") is { Length: > 0 } named ? named : null, errors).Socket ?? Frame.DefaultSocketPath;
        return errors.Count == 0 ? socket : throw new ExecutorStoppedException(errors[0]);
    }

    private static Uri Address(string text, string name, List<string> errors)
    {
        if (Uri.TryCreate(text, UriKind.Absolute, out var address) && address.Scheme is "http" or "https")
        {
            return address;
        }

        errors.Add($"{Prefix}{name}: '{text}' is no http or https address.");
        return new Uri("http://invalid");
    }

    private static ExecutorSettingsFile ReadFile(string? named, List<string> errors)
    {
        var path = named ?? DefaultFile;
        try
        {
            return named is null && !File.Exists(path)
                ? new ExecutorSettingsFile()
                : JsonSerializer.Deserialize(File.ReadAllText(path), ExecutorSettingsJson.Default.ExecutorSettingsFile) ?? new ExecutorSettingsFile();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            errors.Add($"{path} cannot be read: {e.Message}");
            return new ExecutorSettingsFile();
        }
    }
}

/// <summary>The settings file; every key may be missing, none may be unknown.</summary>
internal sealed record ExecutorSettingsFile
{
    public string[]? Silos { get; init; }

    public string? SiloService { get; init; }

    public string? ApiServer { get; init; }

    public string? ApiTokenFile { get; init; }

    public string? ApiCaFile { get; init; }

    public string? TokenFile { get; init; }

    public string? CaFile { get; init; }

    public string? Socket { get; init; }

    public string? StateDirectory { get; init; }

    public string? Conflist { get; init; }

    public string? ConflistVersion { get; init; }

    public string? PluginDirectory { get; init; }

    public string[]? Chained { get; init; }

    public string? Imds { get; init; }

    public string? ProcSys { get; init; }

    public int? EniMtu { get; init; }

    public int? PodMtu { get; init; }

    public string? VethPrefix { get; init; }

    public bool? ExternalSnat { get; init; }

    public string[]? ExcludeSnatCidrs { get; init; }

    public string? RandomizeSnat { get; init; }

    public string[]? ExternalServiceCidrs { get; init; }

    public bool? NodePortSupport { get; init; }

    public string? Connmark { get; init; }

    public bool? DisableTcpEarlyDemux { get; init; }

    public string? LogLevel { get; init; }

    public string? MetricsAddress { get; init; }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    ReadCommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true)]
[JsonSerializable(typeof(ExecutorSettingsFile))]
internal sealed partial class ExecutorSettingsJson : JsonSerializerContext;
