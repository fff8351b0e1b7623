using System.IO.Enumeration;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Ec2Api;

/// <summary>What a resource shows to a filter of one name: none, one or several values.</summary>
internal delegate IEnumerable<string?> FilterValues<in T>(Vpc vpc, T resource);

/// <summary>A describe's filters: any value of each; `*` and `?` stand for others.</summary>
internal sealed class Filters<T>
{
    private const int MaximumValues = 200;
    private readonly List<(FilterValues<T> Of, List<string> Wanted)> _filters = [];

    /// <param name="known">The filters of the action; `tag:` and `tag-key` come on top.</param>
    /// <exception cref="Ec2Exception">A filter that the action has not, or too many values.</exception>
    public Filters(RequestParameters request, IReadOnlyDictionary<string, FilterValues<T>> known, Func<T, IReadOnlyDictionary<string, string>> tags)
    {
        foreach (var filter in request.Structures("Filter"))
        {
            var name = request.Required(filter + ".Name");
            var wanted = request.List(filter + ".Value");
            FilterValues<T> of = name switch
            {
                "tag-key" => (_, resource) => tags(resource).Keys,
                _ when name.StartsWith("tag:", StringComparison.Ordinal) => (_, resource) => [tags(resource).GetValueOrDefault(name[4..])],
                _ => known.GetValueOrDefault(name) ?? throw Ec2Exception.Invalid($"The filter '{name}' is invalid"),
            };
            _filters.Add((of, wanted));
        }

        if (_filters.Sum(filter => filter.Wanted.Count) > MaximumValues)
        {
            throw new Ec2Exception("FilterLimitExceeded", $"The maximum number of filter values specified on a single call is {MaximumValues}.");
        }
    }

    public bool Match(Vpc vpc, T resource) => _filters.TrueForAll(filter =>
        filter.Of(vpc, resource).Any(value => value is not null && filter.Wanted.Exists(wanted => Matches(wanted, value))));

    private static bool Matches(string wanted, string value) =>
        wanted == value || (wanted.AsSpan().ContainsAny('*', '?') && FileSystemName.MatchesSimpleExpression(wanted, value, ignoreCase: false));
}
