using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace AwsVpcCni.Core.Instances;

/// <summary>What EC2 allows on an instance of one type.</summary>
/// <param name="Type">EC2's name, such as m5.large.</param>
/// <param name="AddressesPerInterface">IPv4 addresses of one interface, its primary one included; a /28 prefix counts as one.</param>
/// <param name="Hypervisor">EC2's word: nitro or xen; unknown where EC2 says nothing, as for most bare metal.</param>
/// <param name="Cards">How many interfaces each network card takes, the default card first.</param>
public sealed record InstanceLimits(
    string Type, [property: JsonPropertyName("ipv4PerEni")] int AddressesPerInterface, string Hypervisor, bool BareMetal, ImmutableArray<int> Cards)
{
    private static readonly Lazy<ImmutableSortedDictionary<string, InstanceLimits>> Table = new(Read);

    /// <summary>Every type of the table, by name.</summary>
    public static IEnumerable<InstanceLimits> All => Table.Value.Values;

    /// <summary>Interfaces of the default card; pods use no other.</summary>
    [JsonIgnore]
    public int MaxInterfaces => Cards[0];

    /// <summary>What an interface can hold besides its own address: addresses, or prefixes, or both.</summary>
    [JsonIgnore]
    public int SlotsPerInterface => Math.Max(0, AddressesPerInterface - 1);

    /// <summary>Whether an interface may hold /28 prefixes: Nitro and bare metal only.</summary>
    [JsonIgnore]
    public bool TakesPrefixes => BareMetal || Hypervisor == "nitro";

    /// <summary>The type as the table has it; null for one that is newer than the table.</summary>
    public static InstanceLimits? Find(string type) => Table.Value.GetValueOrDefault(type);

    /// <summary>For a type that nobody describes: what every type of the same size in the table has at least, or every type at all. Families
    /// of one size differ little, and a guess that is too low serves pods, while one that is too high only meets refusals. No prefixes.</summary>
    public static InstanceLimits Careful(string type)
    {
        var size = type[(type.IndexOf('.', StringComparison.Ordinal) + 1)..];
        InstanceLimits[] alike = [.. All.Where(one => one.Type.EndsWith($".{size}", StringComparison.Ordinal))];
        var among = alike.Length > 0 ? alike : [.. All];
        return new InstanceLimits(type, among.Min(one => one.AddressesPerInterface), "unknown", BareMetal: false, [among.Min(one => one.MaxInterfaces)]);
    }

    private static ImmutableSortedDictionary<string, InstanceLimits> Read()
    {
        using var file = typeof(InstanceLimits).Assembly.GetManifestResourceStream("instance-limits.json")!;
        return JsonSerializer.Deserialize(file, InstanceLimitsJson.Default.InstanceLimitsArray)!.ToImmutableSortedDictionary(one => one.Type, one => one, StringComparer.Ordinal);
    }
}

/// <summary>How the table is written.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(InstanceLimits[]))]
internal sealed partial class InstanceLimitsJson : JsonSerializerContext;
