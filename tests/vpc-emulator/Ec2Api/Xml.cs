using System.Globalization;
using System.Xml.Linq;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

/// <summary>EC2's XML: lists are `fooSet` with an `item` each, times and booleans in its spelling.</summary>
internal static class Xml
{
    public static readonly XNamespace Namespace = "http://ec2.amazonaws.com/doc/2016-11-15/";

    /// <param name="content">Null: the element is left out.</param>
    public static XElement Element(string name, params object?[] content) =>
        new(Namespace + name, content.Select(part => part switch
        {
            bool truth => truth ? "true" : "false",
            DateTimeOffset time => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture),
            _ => part,
        }));

    public static XElement Set(string name, IEnumerable<object?> items) => new(Namespace + name, items.Select(item => new XElement(Namespace + "item", item)));

    public static XElement Tags(IReadOnlyDictionary<string, string> tags) =>
        Set("tagSet", tags.Select(tag => new[] { Element("key", tag.Key), Element("value", tag.Value) }));

    public static XElement Groups(Vpc vpc, IEnumerable<string> groups) =>
        Set("groupSet", groups.Select(id => new[] { Element("groupId", id), Element("groupName", vpc.FindGroup(id)!.Name) }));

    public static string HostName(Vpc vpc, System.Net.IPAddress address) =>
        $"ip-{address.ToString().Replace('.', '-')}.{(vpc.Region == "us-east-1" ? "ec2" : vpc.Region + ".compute")}.internal";

    /// <summary>An action without a result of its own.</summary>
    public static object?[] Done => [Element("return", true)];

    public static string Answer(string action, string requestId, object?[] content) =>
        Text(Element(action + "Response", [Element("requestId", requestId), .. content]));

    public static string Error(Ec2Exception error, string requestId) => Text(new XElement("Response",
        new XElement("Errors", new XElement("Error", new XElement("Code", error.Code), new XElement("Message", error.Message))),
        new XElement("RequestID", requestId))); // Here it is RequestID, on success requestId; and no namespace.

    private static string Text(XElement root) => "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + root.ToString(SaveOptions.DisableFormatting);
}
