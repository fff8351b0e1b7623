using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using AwsVpcCni.KubeEmulator;
using AwsVpcCni.KubeletLite;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.VpcEmulator.Fabric;
using k8s;

namespace AwsVpcCni.Tests.EndToEnd.Chart;

/// <summary>The emulated Kubernetes API, where pods on nodes look for it: under TLS, at the address of the service `kubernetes`, on each node (in place of kube-proxy's rule).</summary>
internal sealed class ApiServer : IAsyncDisposable
{
    public const string Address = "10.100.0.1";

    private readonly Socket[] sockets;
    private readonly Authority authority = new("kubernetes");

    private ApiServer(Socket[] sockets) => this.sockets = sockets;

    public KubeApi Api { get; private set; } = null!;

    /// <summary>Who has signed its certificate, PEM.</summary>
    public string Pem => authority.Pem;

    /// <summary>With all rights, for what stands for kubelets, controllers and operators.</summary>
    public k8s.Kubernetes Client { get; private set; } = null!;

    public static async Task<ApiServer> StartAsync(IEnumerable<string> namespaces)
    {
        List<Socket> sockets = [];
        foreach (var name in namespaces)
        {
            await Shell.RunAsync("ip", "-n", name, "address", "add", Address + "/32", "dev", "lo", "scope", "host");
            sockets.Add(NetworkNamespace.Listen(NetworkNamespace.PathOf(name), new IPEndPoint(IPAddress.Parse(Address), 443)));
        }

        var server = new ApiServer([.. sockets]);
        var (certificate, key) = server.authority.Issue(Address);
        server.Api = await KubeApi.StartAsync(TimeProvider.System, doors: new KubeDoors(server.sockets, X509Certificate2.CreateFromPem(certificate, key)));
        server.Client = new k8s.Kubernetes(new KubernetesClientConfiguration { Host = server.Api.Url.ToString(), AccessToken = KubeApi.AdminToken });
        server.PutConfigMap(Admission.RootCa, "ca.crt", server.authority.Pem);
        return server;
    }

    /// <summary>`kubectl create configmap`, in kube-system.</summary>
    public void PutConfigMap(string name, string key, string content) => Api.Objects.Put(new JsonObject
    {
        ["apiVersion"] = "v1", ["kind"] = "ConfigMap", ["metadata"] = MetadataOf(name), ["data"] = new JsonObject { [key] = content },
    });

    /// <summary>`kubectl create secret tls`, in kube-system.</summary>
    /// <param name="authority">As cert-manager adds it; null: it is not in there.</param>
    public void PutTlsSecret(string name, string certificate, string key, string? authority = null) => Api.Objects.Put(new JsonObject
    {
        ["apiVersion"] = "v1", ["kind"] = "Secret", ["type"] = "kubernetes.io/tls", ["metadata"] = MetadataOf(name),
        ["data"] = new JsonObject(new[] { ("tls.crt", certificate), ("tls.key", key), ("ca.crt", authority) }.Where(file => file.Item2 is not null)
            .Select(file => KeyValuePair.Create(file.Item1, (JsonNode?)Convert.ToBase64String(Encoding.ASCII.GetBytes(file.Item2!))))),
    });

    public async ValueTask DisposeAsync()
    {
        Client?.Dispose();
        if (Api is not null)
        {
            await Api.DisposeAsync();
        }

        Array.ForEach(sockets, socket => socket.Dispose());
        authority.Dispose();
    }

    private static JsonObject MetadataOf(string name) => new() { ["name"] = name, ["namespace"] = "kube-system" };
}
