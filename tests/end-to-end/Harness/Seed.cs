using System.Globalization;
using System.Security.Cryptography;

namespace AwsVpcCni.Tests.EndToEnd.Harness;

/// <summary>What a random test draws from: another one each run, or the one that the environment names, to repeat a run.</summary>
internal static class Seed
{
    public const string Variable = "CRASH_SEED";

    public static int Value { get; } = Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } given
        ? int.Parse(given, CultureInfo.InvariantCulture)
        : RandomNumberGenerator.GetInt32(int.MaxValue);
}
