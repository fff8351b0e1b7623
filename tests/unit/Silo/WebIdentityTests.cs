using System.Reflection;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Silo;

/// <summary>IRSA gives a pod a token file and a role's name, and the SDK finds what it needs for them by the assembly's name.</summary>
public sealed class WebIdentityTests
{
    [Fact]
    public void The_silo_ships_what_the_SDK_loads_for_it() => Assert.NotNull(Assembly.Load("AWSSDK.SecurityToken").GetType("Amazon.SecurityToken.AmazonSecurityTokenServiceClient"));
}
