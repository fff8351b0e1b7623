using System.Text.Json;
using System.Text.Json.Serialization;

namespace AwsVpcCni.Core.Contracts;

/// <summary>How the node API's records are written, on the wire and between silos alike.</summary>
/// <remarks>A member that is missing is an error, never a default that means something; one added later needs a default of its own.</remarks>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(AssignRequest))]
[JsonSerializable(typeof(AssignReply))]
[JsonSerializable(typeof(ReleaseRequest))]
[JsonSerializable(typeof(ReleaseReply))]
[JsonSerializable(typeof(NodeReport))]
[JsonSerializable(typeof(NodeOrders))]
[JsonSerializable(typeof(NodeProblem))]
public sealed partial class NodeJson : JsonSerializerContext;

/// <summary>The body of a refused node API call (RFC 9457's members that we use).</summary>
/// <param name="Title">What is wrong, in a few words.</param>
/// <param name="Detail">Which, and what to do.</param>
/// <param name="Status">The HTTP status.</param>
public sealed record NodeProblem(string Title, string Detail, int Status);
