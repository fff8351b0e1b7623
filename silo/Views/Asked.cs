using System.Globalization;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Pool;

namespace AwsVpcCni.Silo.Views;

/// <summary>What operators write, on the command line as in a request.</summary>
internal static class Asked
{
    /// <summary>The address that is meant.</summary>
    /// <exception cref="BadQuestionException">It is none: 10.1 and 010.0.0.1 are refused too, which many programs take for 10.0.0.1 and 8.0.0.1.</exception>
    public static Ip Address(string text) => Ip.TryParse(text, out var ip) && (ip.IsV6 || ip.ToString() == text)
        ? ip
        : throw new BadQuestionException($"{text} is no address such as 10.0.1.17.");

    /// <summary>Characters of who is behind a change: it is kept with it.</summary>
    public const int MostWho = 100;

    /// <summary>The same of why.</summary>
    public const int MostWhy = 500;

    /// <summary>A text that is kept.</summary>
    /// <exception cref="BadQuestionException">It is empty, or too long.</exception>
    public static string Text(string? text, string name, int most) => text is { Length: > 0 } && text.Length <= most
        ? text
        : throw new BadQuestionException($"{name} must be a text of 1 to {most} characters{(text is null ? "" : $", and has {text.Length}")}.");

    /// <summary>What something is to be switched to.</summary>
    /// <exception cref="BadQuestionException">It is none of them.</exception>
    public static SwitchMode Mode(string? text) => text?.ToLowerInvariant() switch
    {
        "normal" => SwitchMode.Normal,
        "hold" => SwitchMode.Hold,
        "frozen" => SwitchMode.Frozen,
        _ => throw new BadQuestionException($"mode is {text ?? "missing"}; it must be normal, hold or frozen."),
    };

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
