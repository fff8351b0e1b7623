using System.Text.RegularExpressions;

namespace AwsVpcCni.Tests.Unit.Charts;

/// <summary>What an expression asks for that nothing of ours shows. It reads selectors and groupings only: promtool has the grammar.</summary>
internal static partial class PromQl
{
    /// <summary>Prometheus' own, and a histogram's.</summary>
    private static readonly string[] Added = ["instance", "job", "le"];

    public static IEnumerable<string> Missing(string expression)
    {
        var asked = Selector().Matches(expression);
        foreach (Match selector in asked)
        {
            var name = selector.Groups["name"].Value;
            var series = Exposition.Series[name].ToArray();
            if (series.Length == 0)
            {
                yield return $"no metric {name}";
                continue;
            }

            foreach (Match matcher in Matcher().Matches(selector.Groups["matchers"].Value))
            {
                var (label, value) = (matcher.Groups["label"].Value, matcher.Groups["value"].Value);
                var values = series.Where(one => one.ContainsKey(label)).Select(one => one[label]).ToHashSet();
                if (values.Count == 0)
                {
                    yield return $"no label {label} of {name}";
                }

                foreach (var wanted in value.Split('|').Where(one => !one.StartsWith('$') && !values.Contains(one) && values.Count > 0))
                {
                    yield return $"no {label}=\"{wanted}\" of {name}";
                }
            }
        }

        var labels = asked.SelectMany(selector => Exposition.Series[selector.Groups["name"].Value]).SelectMany(series => series.Keys).Concat(Added).ToHashSet();
        foreach (var label in Grouping().Matches(expression).SelectMany(match => match.Groups["labels"].Value.Split(',', StringSplitOptions.TrimEntries)).Where(label => !labels.Contains(label)))
        {
            yield return $"no label {label} of any that is grouped by it";
        }
    }

    public static IEnumerable<string> Names(string expression) => Selector().Matches(expression).Select(selector => selector.Groups["name"].Value);

    [GeneratedRegex(@"\b(?<name>(aws_vpc_cni|process)_[a-z0-9_]+)(\{(?<matchers>[^}]*)\})?")]
    private static partial Regex Selector();

    [GeneratedRegex("""(?<label>[a-z_]+)(=~|!~|!=|=)"(?<value>[^"]*)" """, RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex Matcher();

    [GeneratedRegex(@"\b(by|on|without) \((?<labels>[^)]*)\)")]
    private static partial Regex Grouping();
}
