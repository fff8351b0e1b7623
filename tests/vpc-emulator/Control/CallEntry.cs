using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using AwsVpcCni.VpcEmulator.Ec2Api;

namespace AwsVpcCni.VpcEmulator.Control;

/// <summary>One call of the EC2 API: a line of the call log.</summary>
public sealed partial record CallEntry
{
    public static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { Converters = { new Microseconds() } };

    /// <summary>When the request had arrived, UTC.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>In the order of arrival, from 1. Lines are in the order of answers.</summary>
    public required long Sequence { get; init; }

    /// <summary>The access key id that signed it; null: unsigned.</summary>
    public string? Caller { get; init; }

    /// <summary>Empty: the request named none.</summary>
    public required string Action { get; init; }

    /// <summary>Whether it changes nothing.</summary>
    [JsonIgnore]
    public bool IsRead => Action.StartsWith("Describe", StringComparison.Ordinal) || Action.StartsWith("Get", StringComparison.Ordinal);

    /// <summary>The instances that the call names, by id or by a filter.</summary>
    public IReadOnlyList<string> InstanceIds { get; init; } = [];

    public IReadOnlyDictionary<string, IReadOnlyList<string>> Filters { get; init; } = new Dictionary<string, IReadOnlyList<string>>();

    /// <summary>All of the request's, flat, as they were sent.</summary>
    public IReadOnlyDictionary<string, string> Parameters { get; init; } = new Dictionary<string, string>();

    /// <summary>The header amz-sdk-invocation-id: the same when the SDK sends a request again.</summary>
    public string? Invocation { get; init; }

    /// <summary>0: the connection was cut before an answer.</summary>
    public int Status { get; init; }

    /// <summary>EC2's code. Null: the call went well.</summary>
    public string? Error { get; init; }

    /// <summary>Whether the connection was cut, in the middle of the answer or before it.</summary>
    public bool Cut { get; init; }

    /// <summary>What the call has left in its bucket. Null: it did not come to that, or the bucket refused it.</summary>
    public double? TokensLeft { get; init; }

    /// <summary>From arrival to the answer's first byte.</summary>
    public double DurationMs { get; init; }

    internal static CallEntry Of(RequestParameters request, DateTimeOffset at, long sequence, string? invocation, string? authorization)
    {
        var filters = new SortedDictionary<string, IReadOnlyList<string>>(StringComparer.Ordinal);
        foreach (var filter in request.Structures("Filter"))
        {
            filters[request.Text(filter + ".Name") ?? ""] = request.List(filter + ".Value");
        }

        return new CallEntry
        {
            At = at,
            Sequence = sequence,
            Caller = authorization is null ? null : Credential().Match(authorization) is { Success: true } signed ? signed.Groups[1].Value : "",
            Action = request.Action,
            InstanceIds =
            [
                .. request.List("InstanceId"),
                .. request.Text("InstanceId") is { } one ? [one] : Array.Empty<string>(),
                .. filters.Where(filter => filter.Key is "instance-id" or "attachment.instance-id").SelectMany(filter => filter.Value),
            ],
            Filters = filters,
            Parameters = new SortedDictionary<string, string>(request.All.ToDictionary(), StringComparer.Ordinal),
            Invocation = invocation,
        };
    }

    /// <summary>AWS4-HMAC-SHA256 Credential=KEY/20261125/eu-west-1/ec2/aws4_request, SignedHeaders=...</summary>
    [GeneratedRegex("Credential=([^/]+)/")]
    private static partial Regex Credential();

    /// <summary>All times with six digits, so that lines also sort as text.</summary>
    private sealed class Microseconds : JsonConverter<DateTimeOffset>
    {
        public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.GetDateTimeOffset();

        public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options) =>
            writer.WriteStringValue(value.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture));
    }
}
