namespace AwsVpcCni.CniProtocol;

internal static class Names
{
    /// <summary>The specification's form of a network's name and of a container's id.</summary>
    public static bool IsId(string text) =>
        text.Length > 0 && char.IsAsciiLetterOrDigit(text[0]) && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-');

    /// <summary>What we take as the name of a link, of any length.</summary>
    public static bool IsLink(string text) =>
        text is not ("." or "..") && text.All(c => c is > ' ' and < '\x7f' and not ('/' or ':' or '%'));

    /// <summary>Six bytes of two hexadecimal digits, with colons.</summary>
    public static bool IsMac(string text) =>
        text.Length == 17 && text.Index().All(c => c.Index % 3 == 2 ? c.Item == ':' : char.IsAsciiHexDigit(c.Item));
}
