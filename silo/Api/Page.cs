using System.Globalization;
using AwsVpcCni.Silo.Views;

namespace AwsVpcCni.Silo.Api;

/// <summary>Which part of a list is asked for: <c>?limit=&amp;after=</c>.</summary>
/// <param name="Limit">Items at most.</param>
/// <param name="After">Only those behind this id, by ordinal order; it need not be there any more.</param>
internal sealed record Page(int Limit, string After)
{
    /// <summary>Items of one answer, at most.</summary>
    public const int Most = 200;

    private const int Usual = 100;

    /// <summary>What a request asks for.</summary>
    /// <exception cref="BadQuestionException">It is no page, or too large a one.</exception>
    public static Page Of(HttpRequest request)
    {
        Only(request, "limit", "after");
        return new Page(LimitOf(request), request.Query["after"].ToString());
    }

    /// <summary>How many items a request asks for.</summary>
    /// <exception cref="BadQuestionException">It is no number, or too large a one.</exception>
    public static int LimitOf(HttpRequest request) =>
        !request.Query.TryGetValue("limit", out var text) ? Usual
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var limit) && limit is >= 1 and <= Most ? limit
        : throw new BadQuestionException($"limit is '{text}'; it must be a whole number from 1 to {Most}. Leave it out for {Usual}.");

    /// <summary>A misspelt question must not get the answer to another one.</summary>
    /// <exception cref="BadQuestionException">The request asks for something else, too.</exception>
    public static void Only(HttpRequest request, params string[] names)
    {
        if (request.Query.Keys.Except(names, StringComparer.OrdinalIgnoreCase).ToArray() is [_, ..] unknown)
        {
            throw new BadQuestionException($"{string.Join(", ", unknown)} is nothing that {request.Path} takes; it takes {(names.Length == 0 ? "no question" : string.Join(", ", names))}.");
        }
    }

    /// <summary>The page itself.</summary>
    /// <param name="all">In ordinal order of their ids.</param>
    /// <param name="idOf">Of an item.</param>
    /// <returns>The items; and the path of the next page, null when there is none.</returns>
    public (T[] Items, string? Next) Cut<T>(HttpRequest request, IEnumerable<T> all, Func<T, string> idOf)
    {
        T[] found = [.. all.Where(item => string.CompareOrdinal(idOf(item), After) > 0).Take(Limit + 1)];
        return found.Length <= Limit ? (found, null)
            : (found[..Limit], string.Create(CultureInfo.InvariantCulture, $"{request.Path}?limit={Limit}&after={Uri.EscapeDataString(idOf(found[Limit - 1]))}"));
    }
}

/// <summary>A part of a list.</summary>
/// <param name="Next">The path of the next part; null when this is the last.</param>
internal sealed record Part<T>(T[] Items, string? Next);
