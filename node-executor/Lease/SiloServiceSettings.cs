using System.Net;
using System.Text.RegularExpressions;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>The Kubernetes service whose endpoints are the silos, and who tells them.</summary>
/// <param name="IsTls">The silos' certificate is for <see cref="HostName"/>, since endpoints are addresses.</param>
internal sealed partial record SiloServiceSettings(string Namespace, string Name, bool IsTls, Uri ApiServer, string TokenFile, string CaFile)
{
    /// <summary>The name of the node API's port in the service.</summary>
    internal const string PortName = "node-api";

    private const string InCluster = "/var/run/secrets/kubernetes.io/serviceaccount";

    /// <summary>What the silos' certificate must be for.</summary>
    internal string HostName => $"{Name}.{Namespace}.svc";

    /// <summary>Null when no service is named.</summary>
    /// <param name="text">One setting: environment over file.</param>
    internal static SiloServiceSettings? Read(Func<string, string?> text, Func<string, string?> environment, bool isTls, List<string> errors)
    {
        if (text("SILO_SERVICE") is not { } named)
        {
            return null;
        }

        if (!ServiceForm().IsMatch(named))
        {
            errors.Add($"{ExecutorSettings.Prefix}SILO_SERVICE={named} is not possible: NAMESPACE/NAME of the silos' service, such as kube-system/aws-vpc-cni-silo.");
            return null;
        }

        var host = environment("KUBERNETES_SERVICE_HOST");
        var api = text("API_SERVER")
            ?? (host is { Length: > 0 } ? $"https://{(host.Contains(':', StringComparison.Ordinal) ? $"[{host}]" : host)}:{environment("KUBERNETES_SERVICE_PORT") ?? "443"}" : null);
        if (!Uri.TryCreate(api, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
        {
            errors.Add($"{ExecutorSettings.Prefix}API_SERVER={api} is no http or https address, and {ExecutorSettings.Prefix}SILO_SERVICE needs it (in a pod it is known by KUBERNETES_SERVICE_HOST).");
            return null;
        }

        var parts = named.Split('/');
        return new SiloServiceSettings(parts[0], parts[1], isTls, address, text("API_TOKEN_FILE") ?? $"{InCluster}/token", text("API_CA_FILE") ?? $"{InCluster}/ca.crt");
    }

    /// <summary>The ready ones, always in the same order for the same endpoints.</summary>
    internal Uri[] SilosOf(IEnumerable<EndpointSlice> slices) => [.. slices
        .SelectMany(slice => (slice.Ports ?? []).Where(port => port is { Name: PortName, Port: > 0 and < 65536 }).Take(1)
            .SelectMany(port => (slice.Endpoints ?? []).Where(endpoint => endpoint.Conditions?.Ready != false)
                .SelectMany(endpoint => endpoint.Addresses ?? []).Where(text => IPAddress.TryParse(text, out _)).Select(text => new IPEndPoint(IPAddress.Parse(text), port.Port!.Value))))
        .Select(endpoint => new Uri($"{(IsTls ? "https" : "http")}://{endpoint}")).Distinct().OrderBy(silo => silo.Authority, StringComparer.Ordinal)];

    [GeneratedRegex("^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    private static partial Regex ServiceForm();
}
