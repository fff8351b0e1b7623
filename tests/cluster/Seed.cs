using System.Globalization;
using System.Security.Cryptography;

namespace AwsVpcCni.Tests.Cluster;

/// <summary>Where a test's chance begins: <c>TEST_SEED</c>, so that a run can be had again; else another one each time.</summary>
internal static class Seed
{
    public const string Variable = "TEST_SEED";

    /// <remarks>Who takes it says which it was.</remarks>
    public static int Take() => Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } given ? int.Parse(given, CultureInfo.InvariantCulture) : RandomNumberGenerator.GetInt32(int.MaxValue);
}
