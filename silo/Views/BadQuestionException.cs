namespace AwsVpcCni.Silo.Views;

/// <summary>What was asked for cannot be: the asker can mend it. The command line and the HTTP API each say so in their way.</summary>
/// <param name="message">What, which, and what it may be.</param>
internal sealed class BadQuestionException(string message) : Exception(message);
