using System.Globalization;
using System.Net;
using Amazon.DynamoDBv2.Model;

namespace AwsVpcCni.Silo.Storage.DynamoDb;

/// <summary>One silo as an item of the membership table. Pure.</summary>
/// <remarks>Names, forms and what is left out: those of Orleans' own provider.</remarks>
internal static class MembershipItem
{
    private const string TimeForm = "yyyy-MM-dd HH:mm:ss.fff 'GMT'";

    /// <summary>The range key.</summary>
    public static string Identity(SiloAddress silo) => $"{silo.Endpoint.Address}-{silo.Endpoint.Port}-{silo.Generation}";

    /// <summary>The item.</summary>
    /// <param name="item">Its keys, which get the attributes.</param>
    public static Dictionary<string, AttributeValue> Write(Dictionary<string, AttributeValue> item, MembershipEntry entry, int version, int etag)
    {
        var suspects = entry.SuspectTimes ?? [];
        item["Address"] = new AttributeValue(entry.SiloAddress.Endpoint.Address.ToString());
        item["Port"] = N(entry.SiloAddress.Endpoint.Port);
        item["Generation"] = N(entry.SiloAddress.Generation);
        item["SiloStatus"] = N((int)entry.Status);
        item["ProxyPort"] = N(entry.ProxyPort);
        item["StartTime"] = new AttributeValue(Text(entry.StartTime));
        item["IAmAliveTime"] = new AttributeValue(Text(entry.IAmAliveTime));
        item["MembershipVersion"] = N(version);
        item["ETag"] = N(etag);
        foreach (var (name, text) in new[]
        {
            ("HostName", entry.HostName), ("SiloName", entry.SiloName),
            ("SuspectingSilos", string.Join('|', suspects.Select(suspect => suspect.Item1.ToParsableString()))),
            ("SuspectingTimes", string.Join('|', suspects.Select(suspect => Text(suspect.Item2)))),
        })
        {
            if (!string.IsNullOrEmpty(text))
            {
                item[name] = new AttributeValue(text);
            }
        }

        return item;
    }

    /// <summary>The silo of an item, with the item's tag.</summary>
    public static Tuple<MembershipEntry, string> Read(Dictionary<string, AttributeValue> item) => Tuple.Create(
        new MembershipEntry
        {
            SiloAddress = Address(item, "Port"),
            Status = (SiloStatus)Number(item, "SiloStatus"),
            ProxyPort = Number(item, "ProxyPort"),
            HostName = Text(item, "HostName"),
            SiloName = Text(item, "SiloName"),
            StartTime = Time(Text(item, "StartTime")),
            IAmAliveTime = Time(Text(item, "IAmAliveTime")),
            SuspectTimes = [.. Parts(item, "SuspectingSilos").Zip(
                Parts(item, "SuspectingTimes"), (silo, time) => Tuple.Create(SiloAddress.FromParsableString(silo), Time(time)))],
        },
        item["ETag"].N);

    /// <summary>The version of the whole at which the item was written last.</summary>
    public static int VersionOf(Dictionary<string, AttributeValue> item) => Number(item, "MembershipVersion");

    /// <summary>Where clients reach an active silo; null when it is not active or takes none.</summary>
    public static Uri? Gateway(Dictionary<string, AttributeValue> item) =>
        Number(item, "SiloStatus") == (int)SiloStatus.Active && Number(item, "ProxyPort") > 0 ? Address(item, "ProxyPort").ToGatewayUri() : null;

    /// <summary>A time of the layout; UTC, to the millisecond.</summary>
    public static string Text(DateTime utc) => utc.ToString(TimeForm, CultureInfo.InvariantCulture);

    /// <summary>A number.</summary>
    public static AttributeValue N(int number) => new() { N = number.ToString(CultureInfo.InvariantCulture) };

    private static SiloAddress Address(Dictionary<string, AttributeValue> item, string port) =>
        SiloAddress.New(IPAddress.Parse(item["Address"].S), Number(item, port), Number(item, "Generation"));

    private static int Number(Dictionary<string, AttributeValue> item, string name) => int.Parse(item[name].N, CultureInfo.InvariantCulture);

    private static string Text(Dictionary<string, AttributeValue> item, string name) => item.GetValueOrDefault(name)?.S ?? "";

    private static string[] Parts(Dictionary<string, AttributeValue> item, string name) => Text(item, name).Split('|', StringSplitOptions.RemoveEmptyEntries);

    private static DateTime Time(string text) =>
        DateTime.ParseExact(text, TimeForm, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal);
}
