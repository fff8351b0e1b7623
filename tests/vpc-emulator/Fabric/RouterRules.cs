using System.Net;

namespace AwsVpcCni.VpcEmulator.Fabric;

/// <summary>The router's nftables rules, as text: who may send what, and who gets it.</summary>
/// <remarks>
/// The router is a switch with a table, as the VPC is: at its interface's ingress a packet is checked, gets the holder's MAC and goes
/// out of the holder's port. It never reaches the router's own IP stack, so no route, neighbour or TTL has a say, and an address
/// that nobody holds goes nowhere. Only ARP reaches the stack, to which every address is local: it answers for all of them.
/// </remarks>
internal static class RouterRules
{
    public const string Tables = """
        table netdev vpc {
          map port_of { type ipv4_addr : iface_index; }
          map mac_of { type ipv4_addr : ether_addr; }
        }

        """;

    /// <summary>A port's chain. Not answered: an address probe (the VPC does not know duplicates), and the asker's own addresses.</summary>
    public static string AddPort(FabricPort port) => $$"""
        table netdev vpc {
          set held_{{port.Number}} { type ipv4_addr; }
          counter {{nameof(DropCounters.ForeignMac)}}_{{port.Number}} { }
          counter {{nameof(DropCounters.ForeignSource)}}_{{port.Number}} { }
          counter {{nameof(DropCounters.NotHeld)}}_{{port.Number}} { }
          chain {{port.Device}} {
            type filter hook ingress device "{{port.Device}}" priority 0; policy drop;
            ether saddr != {{port.Mac}} counter name {{nameof(DropCounters.ForeignMac)}}_{{port.Number}} drop
            arp saddr ip 0.0.0.0 drop
            arp daddr ip @held_{{port.Number}} drop
            ether type arp accept
            ip saddr != @held_{{port.Number}} counter name {{nameof(DropCounters.ForeignSource)}}_{{port.Number}} drop
            ether daddr set ip daddr map @mac_of
            fwd to ip daddr map @port_of
            ether type ip counter name {{nameof(DropCounters.NotHeld)}}_{{port.Number}} drop
          }
        }

        """;

    public static string RemovePort(FabricPort port) => $"""
        delete chain netdev vpc {port.Device}
        delete set netdev vpc held_{port.Number}
        delete counter netdev vpc {nameof(DropCounters.ForeignMac)}_{port.Number}
        delete counter netdev vpc {nameof(DropCounters.ForeignSource)}_{port.Number}
        delete counter netdev vpc {nameof(DropCounters.NotHeld)}_{port.Number}

        """;

    public static string Give(FabricPort port, IReadOnlyCollection<IPAddress> addresses) => addresses.Count == 0 ? "" : $$"""
        add element netdev vpc held_{{port.Number}} { {{string.Join(", ", addresses)}} }
        add element netdev vpc port_of { {{string.Join(", ", addresses.Select(address => $"{address} : {port.Device}"))}} }
        add element netdev vpc mac_of { {{string.Join(", ", addresses.Select(address => $"{address} : {port.Mac}"))}} }

        """;

    public static string Take(FabricPort port, IReadOnlyCollection<IPAddress> addresses) => addresses.Count == 0 ? "" : $$"""
        delete element netdev vpc held_{{port.Number}} { {{string.Join(", ", addresses)}} }
        delete element netdev vpc port_of { {{string.Join(", ", addresses)}} }
        delete element netdev vpc mac_of { {{string.Join(", ", addresses)}} }

        """;
}

/// <summary>The router's end of an attached interface.</summary>
internal sealed record FabricPort(int Number, string InstanceId, string EniId, string Mac)
{
    public HashSet<IPAddress> Held { get; } = [];

    public string Device => $"p{Number}";
}

/// <summary>What the router dropped on its way from one interface, in packets, since that was attached.</summary>
/// <param name="ForeignMac">Frames whose source MAC is not the interface's.</param>
/// <param name="ForeignSource">IPv4 packets whose source address the interface does not hold.</param>
/// <param name="NotHeld">IPv4 packets to an address that no attached interface holds.</param>
public sealed record DropCounters(long ForeignMac, long ForeignSource, long NotHeld);
