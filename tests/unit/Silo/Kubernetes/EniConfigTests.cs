using AwsVpcCni.Silo.Kubernetes;
using k8s;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Silo.Kubernetes;

/// <summary>An ENIConfig as a cluster stores it whose CRD has no schema.</summary>
public sealed class EniConfigTests
{
    [Theory]
    [InlineData("""{"subnet":"subnet-1","securityGroups":["sg-1","sg-2"],"more":7}""", "subnet-1", "sg-1 sg-2")]
    [InlineData("""{"subnet":"subnet-1"}""", "subnet-1", "")]
    [InlineData("""{"subnet":"subnet-1","securityGroups":null}""", "subnet-1", "")]
    [InlineData("{}", null, "")]
    public void What_can_be_read_is(string spec, string? subnet, string groups)
    {
        var read = Read(spec).Spec!;
        Assert.Equal((subnet, groups), (read.Subnet, string.Join(' ', read.SecurityGroups)));
        Assert.NotSame(EniConfigSpec.Unread, read);
    }

    [Theory]
    [InlineData("\"subnet-1\"")]
    [InlineData("[]")]
    [InlineData("""{"subnet":1}""")]
    [InlineData("""{"subnet":"subnet-1","securityGroups":"sg-1"}""")]
    [InlineData("""{"subnet":"subnet-1","securityGroups":[1]}""")]
    public void What_cannot_be_read_names_nothing_rather_than_less(string spec) => Assert.Same(EniConfigSpec.Unread, Read(spec).Spec);

    [Fact]
    public void No_spec_is_none() => Assert.Null(Read("null").Spec);

    private static EniConfig Read(string spec) => KubernetesJson.Deserialize<EniConfig>($$"""{"apiVersion":"crd.k8s.amazonaws.com/v1alpha1","kind":"ENIConfig","metadata":{"name":"one"},"spec":{{spec}}}""");
}
