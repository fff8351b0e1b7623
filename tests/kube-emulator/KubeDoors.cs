using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace AwsVpcCni.KubeEmulator;

/// <summary>Listening sockets, in whatever network namespaces they were made, on which the API is served under TLS.</summary>
/// <param name="Sockets">Whoever made them disposes of them, after the API.</param>
public sealed record KubeDoors(IReadOnlyList<Socket> Sockets, X509Certificate2 Certificate);
