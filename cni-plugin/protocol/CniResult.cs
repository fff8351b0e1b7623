using System.Collections.Immutable;
using System.Net;
using System.Text.Json;

namespace AwsVpcCni.CniProtocol;

/// <summary>What a successful ADD prints: links, addresses and routes of one pod.</summary>
/// <param name="Interfaces">The host's end first, then the container's.</param>
/// <param name="Ips">One for each family.</param>
/// <param name="Routes">Those inside the pod.</param>
public sealed record CniResult(ImmutableArray<CniInterface> Interfaces, ImmutableArray<CniIp> Ips, ImmutableArray<CniRoute> Routes)
{
    /// <summary>In the shape of the config's version: 0.x names the IP family, 1.1.0 adds a link's MTU.</summary>
    /// <param name="previous">Of the plugins before us, in the same version: what they gave comes first, as they gave it. Null: we are the first.</param>
    /// <exception cref="ArgumentException">A defect of the caller: an address on no interface of the result, or a link whose MAC is none.</exception>
    public byte[] ToJson(CniVersion version, PrevResult? previous = null)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("cniVersion"u8, version.Text());
            Begin(json, "interfaces", previous);
            foreach (var link in Interfaces)
            {
                Write(json, link, version);
            }

            json.WriteEndArray();
            Begin(json, "ips", previous);
            foreach (var ip in Ips)
            {
                Write(json, ip, version, previous?.Interfaces.Length ?? 0);
            }

            json.WriteEndArray();
            Begin(json, "routes", previous);
            foreach (var route in Routes)
            {
                Write(json, route);
            }

            // Names are resolved as the kubelet says; a CNI plugin's word would come second.
            json.WriteEndArray();
            json.WritePropertyName("dns"u8);
            if (previous is not null && previous.Root.TryGetProperty("dns"u8, out var dns) && dns.ValueKind is JsonValueKind.Object)
            {
                dns.WriteTo(json);
            }
            else
            {
                json.WriteStartObject();
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        return buffer.ToArray();
    }

    private static void Begin(Utf8JsonWriter json, string key, PrevResult? previous)
    {
        json.WriteStartArray(key);
        foreach (var element in previous is null ? [] : PrevResult.Array(previous.Root, key))
        {
            element.WriteTo(json);
        }
    }

    private static void Write(Utf8JsonWriter json, CniInterface link, CniVersion version)
    {
        if (!Names.IsMac(link.Mac))
        {
            throw new ArgumentException($"'{link.Mac}' of {link.Name} is no MAC address.");
        }

        json.WriteStartObject();
        json.WriteString("name"u8, link.Name);
        json.WriteString("mac"u8, link.Mac);
        if (link.Mtu is { } mtu && version >= CniVersion.V110)
        {
            json.WriteNumber("mtu"u8, mtu);
        }

        if (link.Sandbox is not null)
        {
            json.WriteString("sandbox"u8, link.Sandbox);
        }

        json.WriteEndObject();
    }

    private void Write(Utf8JsonWriter json, CniIp ip, CniVersion version, int interfacesBefore)
    {
        if (ip.InterfaceIndex < 0 || ip.InterfaceIndex >= Interfaces.Length)
        {
            throw new ArgumentException($"{ip.Address} is on interface {ip.InterfaceIndex}, but there are {Interfaces.Length}.");
        }

        json.WriteStartObject();
        if (version < CniVersion.V100)
        {
            json.WriteString("version"u8, ip.Address.BaseAddress.AddressFamily is System.Net.Sockets.AddressFamily.InterNetworkV6 ? "6"u8 : "4"u8);
        }

        json.WriteNumber("interface"u8, interfacesBefore + ip.InterfaceIndex);
        json.WriteString("address"u8, ip.Address.ToString());
        if (ip.Gateway is not null)
        {
            json.WriteString("gateway"u8, ip.Gateway.ToString());
        }

        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, CniRoute route)
    {
        json.WriteStartObject();
        json.WriteString("dst"u8, route.Destination.ToString());
        if (route.Gateway is not null)
        {
            json.WriteString("gw"u8, route.Gateway.ToString());
        }

        json.WriteEndObject();
    }
}

/// <summary>A link of the result.</summary>
/// <param name="Name">As the kernel has it.</param>
/// <param name="Mac"><c>02:00:0a:01:02:03</c>. Never left out: podman refuses a result without a valid one.</param>
/// <param name="Sandbox">Path of the pod's network namespace; null: the link is the host's.</param>
/// <param name="Mtu">Null: not said. Printed from 1.1.0 on.</param>
public sealed record CniInterface(string Name, string Mac, string? Sandbox = null, int? Mtu = null);

/// <summary>An address of the result.</summary>
/// <param name="Address">The pod's address as a whole prefix, /32 or /128: nothing is on-link.</param>
/// <param name="InterfaceIndex">Into <see cref="CniResult.Interfaces"/>.</param>
/// <param name="Gateway">Null: not said.</param>
public sealed record CniIp(IPNetwork Address, int InterfaceIndex, IPAddress? Gateway = null);

/// <summary>A route of the pod.</summary>
/// <param name="Destination">0.0.0.0/0 for the default route.</param>
/// <param name="Gateway">Null: on the link itself.</param>
public sealed record CniRoute(IPNetwork Destination, IPAddress? Gateway = null);
