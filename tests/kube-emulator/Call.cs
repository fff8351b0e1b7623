namespace AwsVpcCni.KubeEmulator;

/// <summary>One request, as the log keeps it.</summary>
public sealed record Call(string User, string Verb, string Resource, string? Namespace, string? Name, string Query, int Status);
