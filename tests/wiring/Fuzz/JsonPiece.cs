using System.Text.Json;

namespace AwsVpcCni.Tests.Wiring.Fuzz;

/// <summary>JSON as a tree that may also hold what is none: doubled keys, half characters, tokens that do not exist.</summary>
internal sealed class JsonPiece
{
    private string token = "";
    private List<(string Key, JsonPiece Value)>? members;
    private List<JsonPiece>? items;

    public static JsonPiece Parse(string json) => Of(JsonDocument.Parse(json).RootElement);

    private static JsonPiece Of(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => new JsonPiece { members = [.. element.EnumerateObject().Select(member => ("\"" + member.Name + "\"", Of(member.Value)))] },
        JsonValueKind.Array => new JsonPiece { items = [.. element.EnumerateArray().Select(Of)] },
        _ => new JsonPiece { token = element.GetRawText() },
    };

    public override string ToString() =>
        members is not null ? "{" + string.Join(',', members.Select(member => member.Key + ":" + member.Value)) + "}"
        : items is not null ? "[" + string.Join(',', items) + "]"
        : token;

    /// <summary>Writes the same in other words: order, spaces, escapes, and a key of others at the top.</summary>
    public string InOtherWords(Random random)
    {
        var space = random.One(["", " ", "\n\t", "\r\n  "]);
        if (random.Chance(0.5))
        {
            members!.Insert(random.Next(members.Count + 1), ("\"x.example\"", new JsonPiece { token = random.One(["null", "1", "\"x\"", "[{}]", "{\"name\":1}"]) }));
        }

        return space + Written(this) + space;

        string Written(JsonPiece piece)
        {
            if (piece.members is { } inside)
            {
                var order = inside.ToArray();
                random.Shuffle(order);
                return "{" + space + string.Join("," + space, order.Select(member => Escaped(member.Key) + space + ":" + Written(member.Value))) + "}";
            }

            return piece.items is { } list ? "[" + string.Join("," + space, list.Select(Written)) + space + "]" : Escaped(piece.token);
        }

        string Escaped(string text)
        {
            if (text.Length < 3 || text[0] != '"' || text.Contains('\\', StringComparison.Ordinal) || random.Chance(0.7))
            {
                return text;
            }

            var at = random.Next(1, text.Length - 1);
            return $"{text[..at]}\\u{(int)text[at]:x4}{text[(at + 1)..]}";
        }
    }

    /// <summary>Breaks it in a few places.</summary>
    public void Break(Random random)
    {
        for (var n = random.Next(1, 4); n > 0; n--)
        {
            List<JsonPiece> all = [];
            Collect(all);
            random.One(all).BreakHere(random, all);
        }
    }

    private void Collect(List<JsonPiece> all)
    {
        all.Add(this);
        members?.ForEach(member => member.Value.Collect(all));
        items?.ForEach(item => item.Collect(all));
    }

    private void BreakHere(Random random, List<JsonPiece> all)
    {
        var at = members is { Count: > 0 } ? random.Next(members.Count) : 0;
        switch (random.Next(8))
        {
            case 0 when members is { Count: > 0 }: members.RemoveAt(at); break;
            case 1 when members is { Count: > 0 }: members.Add((members[at].Key, new JsonPiece { token = Oddities.Token(random) })); break; // Twice.
            case 2 when members is { Count: > 0 }: members[at] = (Oddities.Key(random), members[at].Value); break;
            case 3 when members is not null: members.Insert(at, (Oddities.Key(random), new JsonPiece { token = Oddities.Token(random) })); break;
            case 4 when items is { Count: > 0 }: items.RemoveAt(random.Next(items.Count)); break;
            case 5 when items is not null: items.Add(new JsonPiece { token = Oddities.Token(random) }); break;
            case 6: (token, members, items) = (random.One(all).ToString(), null, null); break; // A value of another place.
            default: (token, members, items) = (Oddities.Token(random), null, null); break;
        }
    }
}
