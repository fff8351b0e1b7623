using System.Globalization;
using System.Security.Cryptography;

namespace AwsVpcCni.Tests.EndToEnd.Harness;

/// <summary>What a random test draws from: the seed that the environment names (scripts/test.sh: one a commit), or another one each run.</summary>
internal static class Seed
{
    public const string Variable = "TEST_SEED";

    public static int Value { get; } = Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } given
        ? int.Parse(given, CultureInfo.InvariantCulture)
        : RandomNumberGenerator.GetInt32(int.MaxValue);
}
