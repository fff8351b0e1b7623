namespace AwsVpcCni.Grains;

/// <summary>A grain was asked for by a key that is not of these silos' settings. It does nothing: a typing error must not make a second one beside the real.</summary>
/// <param name="message">Which, which it is, what to do.</param>
[GenerateSerializer]
public sealed class WrongKeyException(string message) : OrleansException(message);
