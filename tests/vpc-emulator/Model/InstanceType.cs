using System.Text.Json;

namespace AwsVpcCni.VpcEmulator.Model;

/// <summary>What EC2 allows on an instance of one type.</summary>
/// <param name="Type">As `m5.large`.</param>
/// <param name="Ipv4PerEni">Addresses of one interface, the primary included; a /28 prefix counts as one.</param>
/// <param name="Hypervisor">`nitro`, `xen` or `unknown`.</param>
/// <param name="Cards">How many interfaces each network card takes. Card 0 is the default one everywhere.</param>
public sealed record InstanceType(string Type, int Ipv4PerEni, string Hypervisor, bool BareMetal, IReadOnlyList<int> Cards)
{
    /// <summary>Prefixes need Nitro or bare metal.</summary>
    public bool TakesPrefixes => BareMetal || Hypervisor == "nitro";

    private static readonly Lazy<IReadOnlyDictionary<string, InstanceType>> Table = new(Read);

    /// <summary>Every type that the data file knows (amazon-vpc-cni-k8s 1.23.1, pkg/vpc/vpc_ip_resource_limit.go), in its order.</summary>
    public static IEnumerable<InstanceType> All => Table.Value.Values;

    /// <returns>Null: no such type.</returns>
    public static InstanceType? Find(string type) => Table.Value.GetValueOrDefault(type);

    private static Dictionary<string, InstanceType> Read()
    {
        using var file = typeof(InstanceType).Assembly.GetManifestResourceStream("instance-limits.json")
            ?? throw new InvalidOperationException("instance-limits.json is not embedded in the assembly.");
        return JsonSerializer.Deserialize<InstanceType[]>(file, JsonSerializerOptions.Web)!.ToDictionary(type => type.Type);
    }
}
