using System.Globalization;
using System.Text;
using System.Xml.Linq;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

/// <summary>One page of a describe. Resources come in the order of their making, so one that comes or goes between two pages moves no other.</summary>
internal sealed class Page
{
    private readonly int _size;
    private readonly long _after;

    /// <param name="ids">The action's id list: EC2 refuses it beside MaxResults.</param>
    public Page(RequestParameters request, IReadOnlyCollection<string> ids, int minimum = 5, int maximum = 1000)
    {
        var size = request.Integer("MaxResults");
        var token = request.Text("NextToken");
        if (size is not null && ids.Count > 0)
        {
            throw new Ec2Exception("InvalidParameterCombination", "The parameter MaxResults cannot be used with a list of ids in the request.");
        }

        if (size < minimum || size > maximum)
        {
            throw Ec2Exception.Invalid($"Value ( {size} ) for parameter maxResults is invalid. Expecting a value from {minimum} to {maximum}.");
        }

        _size = size ?? int.MaxValue;
        _after = token is null ? long.MinValue : Decode(token);
    }

    /// <summary>The page's items, and a nextToken when more follow.</summary>
    /// <param name="shown">Of a page's items, those that are shown: where EC2 filters after it has made its pages.</param>
    public IEnumerable<XElement> Of<T>(string set, IEnumerable<(long Order, T Resource)> matching, Func<T, object?> content, Func<T, bool>? shown = null)
    {
        var rest = matching.Where(entry => entry.Order > _after).ToList();
        var page = rest.Take(_size).ToList();
        yield return Xml.Set(set, page.Where(entry => shown?.Invoke(entry.Resource) ?? true).Select(entry => content(entry.Resource)));
        if (page.Count < rest.Count)
        {
            yield return Xml.Element("nextToken", Encode(page[^1].Order));
        }
    }

    private static string Encode(long order) =>
        Convert.ToBase64String(Encoding.ASCII.GetBytes(order.ToString("d20", CultureInfo.InvariantCulture)));

    private static long Decode(string token)
    {
        Span<byte> bytes = stackalloc byte[20];
        return Convert.TryFromBase64String(token, bytes, out var length)
            && long.TryParse(bytes[..length], NumberStyles.None, CultureInfo.InvariantCulture, out var order)
                ? order
                : throw new Ec2Exception("InvalidNextToken", $"The token '{token}' is invalid. Start the listing again.");
    }
}
