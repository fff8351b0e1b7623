using System.Collections.Immutable;

namespace AwsVpcCni.Core.Subnets;

/// <summary>Who gives when pods wait for addresses of a dry subnet. Pure.</summary>
public static class RecallPlanner
{
    /// <summary>Those that have most to spare give first, so that what is left is spread evenly.</summary>
    /// <param name="wanted">Addresses; nothing when none or fewer.</param>
    /// <param name="spare">Free, rested addresses of each node that it can do without.</param>
    /// <returns>How many each is asked for; together at most what is wanted, and of none more than it can spare. By id.</returns>
    public static ImmutableSortedDictionary<string, int> Plan(int wanted, IEnumerable<KeyValuePair<string, int>> spare)
    {
        var givers = spare.Where(node => node.Value > 0).OrderByDescending(node => node.Value).ThenBy(node => node.Key, StringComparer.Ordinal).ToArray();
        var asked = ImmutableSortedDictionary.CreateBuilder<string, int>(StringComparer.Ordinal);
        // All that have more come down to one level; of what the last step brings too many, the last ones keep one each.
        var level = givers.Length == 0 ? 0 : givers[0].Value;
        while (level > 0 && givers.Sum(node => Math.Max(0, node.Value - level)) < wanted)
        {
            level--;
        }

        givers = [.. givers.Where(node => node.Value > level)];
        var tooMany = Math.Max(0, givers.Sum(node => node.Value - level) - Math.Max(0, wanted));
        for (var i = 0; i < givers.Length; i++)
        {
            var gives = givers[i].Value - level - (i >= givers.Length - tooMany ? 1 : 0);
            if (gives > 0)
            {
                asked[givers[i].Key] = gives;
            }
        }

        return asked.ToImmutable();
    }
}
