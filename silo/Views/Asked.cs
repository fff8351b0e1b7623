using System.Globalization;
using AwsVpcCni.Core.Addressing;

namespace AwsVpcCni.Silo.Views;

/// <summary>What operators write, on the command line as in a request.</summary>
internal static class Asked
{
    /// <summary>The address that is meant.</summary>
    /// <exception cref="BadQuestionException">It is none: 10.1 and 010.0.0.1 are refused too, which many programs take for 10.0.0.1 and 8.0.0.1.</exception>
    public static Ip Address(string text) => Ip.TryParse(text, out var ip) && (ip.IsV6 || ip.ToString() == text)
        ? ip
        : throw new BadQuestionException($"{text} is no address such as 10.0.1.17.");

    /// <summary>The moment that is meant; null for none.</summary>
    /// <param name="name">What the asker calls it, such as <c>--at</c>.</param>
    /// <exception cref="BadQuestionException">It is no time, or has not come yet.</exception>
    public static DateTimeOffset? Moment(string? text, string name, DateTimeOffset now)
    {
        if (text is null)
        {
            return null;
        }

        if (!DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var at))
        {
            throw new BadQuestionException($"{name} {text} is no time such as 2026-11-29T14:02:00Z.");
        }

        return at <= now ? at : throw new BadQuestionException($"{name} {text} has not come yet: it is {now.UtcDateTime:yyyy-MM-ddTHH:mm:ssZ}.");
    }
}
