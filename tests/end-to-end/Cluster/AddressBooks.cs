using System.Collections.Immutable;
using System.Globalization;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>Who holds which address of a node, by each that keeps account of it, laid side by side address by address.</summary>
/// <remarks>A holder is a container id, with the interface behind it if that is not eth0. <c>AddressBooks.Reading.cs</c> reads them. Not seen: what rests, since resting is nobody's.</remarks>
internal sealed partial record AddressBooks
{
    /// <summary>Addresses in the pods' namespaces.</summary>
    public ImmutableArray<Entry> Pods { get; init; } = [];

    /// <summary>The host's ends of the pods' links, by their aliases.</summary>
    public ImmutableArray<Entry> Links { get; init; } = [];

    /// <summary>Routes to one address in table main; the holder is that of the link.</summary>
    public ImmutableArray<Entry> Routes { get; init; } = [];

    /// <summary>Rules for one address; in place of a holder what the rule is: <c>to main</c>, <c>from 2</c>.</summary>
    public ImmutableArray<Entry> Rules { get; init; } = [];

    /// <summary>Claims in the lease file, and addresses that a link has not left yet.</summary>
    public ImmutableArray<Entry> Claims { get; init; } = [];

    /// <summary>Rows of the silo's store that are not released.</summary>
    public ImmutableArray<Entry> Rows { get; init; } = [];

    /// <summary>The lease; in place of a holder the interface.</summary>
    public ImmutableArray<Entry> Leased { get; init; } = [];

    /// <summary>Addresses for pods on the node's interfaces, by EC2; in place of a holder the interface.</summary>
    public ImmutableArray<Entry> Ec2 { get; init; } = [];

    /// <summary>Device index of each interface of the node, by EC2.</summary>
    public ImmutableDictionary<string, int> Devices { get; init; } = ImmutableDictionary<string, int>.Empty;

    /// <summary>Each address on which the books differ among themselves or from what the runtime was told, one a line.</summary>
    /// <param name="told">Container and address of each pod whose ADD has succeeded and whose DEL has not been asked for.</param>
    public IReadOnlyList<string> Wrong(IReadOnlyCollection<Entry> told) =>
        [.. Books.SelectMany(book => book.Entries).Concat(told).Select(entry => entry.Address).Distinct()
            .Order(StringComparer.Ordinal).SelectMany(address => WrongWith(address, [.. told.Where(pod => pod.Address == address).Select(pod => pod.Holder)]))];

    private (string Name, ImmutableArray<Entry> Entries)[] Books =>
        [("pods", Pods), ("links", Links), ("routes", Routes), ("rules", Rules), ("claims", Claims), ("rows", Rows), ("leased", Leased), ("EC2", Ec2)];

    private IEnumerable<string> WrongWith(string address, string[] holders)
    {
        List<string> wrong = [];
        if (holders.Length > 1 || On(Pods, address).Length > 1)
        {
            wrong.Add("on two pods");
        }

        foreach (var (name, entries) in Books)
        {
            string[] expected = name switch
            {
                "rules" => holders.Length == 0 ? [] : RulesOf(address),
                "leased" => On(Ec2, address), // What EC2 has for the node can be used, and nothing else is.
                "EC2" => holders.Length == 0 || On(Ec2, address).Length == 1 ? On(Ec2, address) : ["one interface"],
                _ => holders,
            };
            var seen = On(entries, address);
            wrong.AddRange(expected.Except(seen).Select(missing => $"{missing} lost from {name}"));
            wrong.AddRange(seen.Except(expected).Select(extra => $"{extra} left over in {name}"));
            if (seen.Length != seen.Distinct().Count())
            {
                wrong.Add($"twice in {name}");
            }
        }

        if (wrong.Count > 0)
        {
            var columns = Books.Select(book => $"{book.Name}: {(On(book.Entries, address) is { Length: > 0 } on ? string.Join(", ", on) : "-")}");
            yield return $"{address}: {string.Join("; ", wrong)} | told: {string.Join(", ", holders)} | {string.Join(" | ", columns)}";
        }
    }

    /// <summary>What the pod's traffic needs: a secondary interface has a table of its own.</summary>
    private string[] RulesOf(string address) =>
        On(Ec2, address) is [var eni, ..] && Devices.GetValueOrDefault(eni) is var device and > 0
            ? ["to main", string.Create(CultureInfo.InvariantCulture, $"from {device + 1}")]
            : ["to main"];

    private static string[] On(ImmutableArray<Entry> entries, string address) => [.. entries.Where(entry => entry.Address == address).Select(entry => entry.Holder)];

    /// <summary>One line of a book.</summary>
    internal sealed record Entry(string Address, string Holder);
}
