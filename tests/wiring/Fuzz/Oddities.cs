using System.Text;

namespace AwsVpcCni.Tests.Wiring.Fuzz;

/// <summary>What breaks programs, as pieces: bytes are written as Latin-1 text, so that what is no UTF-8 can be written too.</summary>
internal static class Oddities
{
    /// <summary>JSON values that a key may not expect, and a few that are no JSON.</summary>
    private static readonly string[] Tokens =
    [
        "null", "true", "false", "0", "-1", "1", "1.5", "-0", "1e999", "2147483647", "2147483648", "-2147483648", "99999999999999999999999", "1E2", "01", "+1", "NaN", ".5",
        "\"\"", "\" \"", "\"eth0\"", "\"lo\"", "\"0.0.0.0/0\"", "\"10.0.0.10/32\"", "\"10.0.0.10\"", "\"fe80::1%eth0\"", "\"::ffff:10.0.0.10/128\"", "\"169.254.1.1\"", "\"1\"", "\"0x7f.1\"",
        "\"0.1.0\"", "\"0.3.1\"", "\"0.4.0\"", "\"1.0.0\"", "\"1.1.0\"", "\"1.0.0 \"", "\"576\"", "\"9002\"", "\"02:00:00:00:00:01\"", "\"..\"", "\"a/b\"", "\"-a\"",
        "\"\\ud800\"", "\"\\udc00x\"", "\"\\u0000\"", "\"\\uD83D\\uDE00\"", "\"\xff\xfe\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xc3\xa9\"", "\"a\0b\"", "\"\\x\"", "\"\n\"", "\"\\\"", "'a'",
        "{}", "[]", "[[]]", "[null]", "[{}]", "{\"\":{}}", "{\"a\":1,\"a\":2}", "[1,]", "{,}", "{\"a\"}", "", "//", "/**/1", "\xef\xbb\xbf{}",
    ];

    /// <summary>Keys, with their quotes.</summary>
    private static readonly string[] Keys =
    [
        "\"\"", "\"x\"", "\"\\ud800\"", "\"\\udfff\\ud800 is a long key that is no text\"", "\"\xff\"", "\"\\u0000\"", "\"cni.dev/other\"", "\"Name\"", "\"NAME\"", "\"cniversion\"",
        "\"capabilities\"", "\"runtimeConfig\"", "\"args\"", "\"ipam\"", "\"dns\"", "\"routes\"", "\"disableCheck\"",
    ];

    private static readonly string[] Values =
    [
        "", "0", "1", "-", "a", "..", ".", "/", "lo", "all", "default", "eth0:1", "eth0 ", "a%d", "\xff", "\xc3\xa9", "\xed\xa0\x80", "\t", "\n", "\x7f", "\"", "\\", "'", "=", ";", "$(id)",
        "ADD", "add", "VERSION", "true", "TRUE", "IgnoreUnknown=1", "IgnoreUnknown=2", "A", "=b", "A=b", "K8S_POD_NAME=", "K8S_POD_NAME=a;K8S_POD_NAME=b", "IgnoreUnknown=true;X=;;Y=z",
    ];

    /// <summary>Lengths at which something ends: names of links, ids, names of pods, aliases, texts of errors, a request.</summary>
    private static readonly int[] Lengths = [14, 15, 16, 17, 127, 128, 129, 252, 253, 254, 255, 256, 1023, 1024, 4096, 65_535, 65_536, 131_000, 262_144, 1_048_576];

    public static T One<T>(this Random random, IReadOnlyList<T> of) => of[random.Next(of.Count)];

    public static bool Chance(this Random random, double share) => random.NextDouble() < share;

    public static byte[] Bytes(string text) => Encoding.Latin1.GetBytes(text);

    /// <summary>Bytes as a line that shows all of them; the middle of many is left out.</summary>
    public static string Shown(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder();
        for (var i = 0; i < bytes.Length; i++)
        {
            if (i == 3_000 && bytes.Length > 4_000)
            {
                text.Append($" ... {bytes.Length - 3_500} bytes ... ");
                i = bytes.Length - 500;
            }

            text.Append(bytes[i] is >= 0x20 and < 0x7f and not (byte)'\\' ? ((char)bytes[i]).ToString() : $"\\x{bytes[i]:x2}");
        }

        return text.ToString();
    }

    public static string Key(Random random) => random.Chance(0.1) ? "\"" + Long(random) + "\"" : random.One(Keys);

    public static string Token(Random random) => random.Next(12) switch
    {
        0 => "\"" + Long(random) + "\"",
        1 => Deep(random, "[", "]"),
        2 => Deep(random, "{\"a\":", "}"),
        _ => random.One(Tokens),
    };

    /// <summary>Of a variable.</summary>
    public static string Value(Random random) => random.Chance(0.2) ? Long(random) : random.One(Values);

    /// <summary>Long ones are rare: they take longer than all others.</summary>
    private static string Long(Random random)
    {
        var length = random.One(Lengths);
        while (length > 5_000 && random.Chance(0.9))
        {
            length = random.One(Lengths);
        }

        var unit = random.One(["a", "\xff", "\xc3\xa9", "\\u00e9", "\\\"", "x;", "1"]);
        return string.Concat(Enumerable.Repeat(unit, (length / unit.Length) + 1))[..length];
    }

    private static string Deep(Random random, string open, string close)
    {
        var depth = random.One([2, 61, 62, 63, 64, 65, 66, 1_000, 50_000]);
        depth = depth > 1_000 && random.Chance(0.8) ? 64 : depth;
        var closed = random.Chance(0.9) ? depth : depth - 1;
        return string.Concat(Enumerable.Repeat(open, depth)) + "1" + string.Concat(Enumerable.Repeat(close, closed));
    }

    /// <summary>A few bytes changed, left out, doubled or cut off, whatever they mean.</summary>
    public static byte[] Damaged(Random random, byte[] whole)
    {
        var bytes = whole.ToList();
        for (var n = random.Next(1, 4); n > 0 && bytes.Count > 0; n--)
        {
            var at = random.Next(bytes.Count);
            var length = Math.Min(random.Next(1, 12), bytes.Count - at);
            switch (random.Next(7))
            {
                case 0: bytes.RemoveRange(at, bytes.Count - at); break;
                case 1: bytes.RemoveRange(at, length); break;
                case 2: bytes.InsertRange(at, bytes.GetRange(at, length)); break;
                case 3: bytes[at] = (byte)random.Next(256); break;
                case 4: bytes[at] ^= (byte)(1 << random.Next(8)); break;
                case 5: bytes.Insert(at, random.One<byte>([0, 0xff, (byte)'"', (byte)'\\', (byte)'{', (byte)'[', (byte)',', 0xc3])); break;
                default: bytes.AddRange(bytes.GetRange(at, length)); break;
            }
        }

        return [.. bytes];
    }
}
