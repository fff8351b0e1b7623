using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Amazon.EC2;
using Amazon.EC2.Model;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Tests.Cluster.Ec2;
using AwsVpcCni.Tests.Cluster.VpcEmulator;
using AwsVpcCni.VpcEmulator.Iam;
using Xunit;
using static AwsVpcCni.Tests.Cluster.VpcEmulator.RunningVpc;
using Ec2Exception = AwsVpcCni.Grains.Ec2.Ec2Exception;

namespace AwsVpcCni.Tests.Cluster.Iam;

/// <summary>docs/iam/ec2.json grants what the silo does in EC2, and nothing else.</summary>
public sealed class Ec2PolicyTests
{
    private static readonly string[] Grants = [.. IamPolicy.Parse(File.ReadAllText(Repository.Ec2Policy)).Grants];

    public static TheoryData<string> Statements => [.. Grants.Select(grant => grant.Split(' ')[0]).Distinct()];

    [Fact]
    public async Task Every_call_that_the_silo_makes_is_granted_and_every_grant_is_used()
    {
        await using var vpc = await StartAsync(policy: Repository.Ec2Policy);
        var ec2 = Watched.Of<IEc2>(SdkEc2Tests.Ec2Of(vpc));

        await DoEverythingAsync(vpc, ec2);

        Watched.AssertAllCalled(ec2);
        Assert.Equal(vpc.Emulator.Policies[RunningVpc.Cluster].Grants.Order(), vpc.Emulator.Policies[RunningVpc.Cluster].Used.Order());
    }

    [Theory]
    [MemberData(nameof(Statements))]
    public async Task Without_any_one_statement_a_call_is_refused_as_EC2_does_it(string sid)
    {
        var copy = Repository.PolicyWithout(Repository.Ec2Policy, sid);
        await using var vpc = await StartAsync(policy: copy);
        File.Delete(copy);

        var refusal = await Assert.ThrowsAsync<Ec2Exception>(() => DoEverythingAsync(vpc, SdkEc2Tests.Ec2Of(vpc)));

        Assert.Equal((Ec2Fault.NotAuthorized, "UnauthorizedOperation"), (refusal.Fault, refusal.Code));
        Assert.Matches(
            "UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:iam::123456789012:user/test is not authorized to perform: "
            + "(ec2:[A-Za-z]+)( on resource: arn:aws:ec2:eu-west-1:123456789012:[a-z-]+/[^ ]+)? because no identity-based policy allows the ec2:[A-Za-z]+ action. Encoded authorization failure message: ",
            refusal.Message);
        Assert.Contains(Grants, grant => grant.StartsWith($"{sid} {Regex.Match(refusal.Message, "ec2:[A-Za-z]+").Value} ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_is_not_this_clusters_is_refused_and_nothing_has_changed()
    {
        await using var vpc = await StartAsync(policy: Repository.Ec2Policy);
        using var silo = vpc.Client(credentials: new Amazon.Runtime.BasicAWSCredentials(RunningVpc.Cluster, "y"));
        Tag[] OfCluster(string name) => [new("cluster.k8s.amazonaws.com/name", name)];
        Task<CreateNetworkInterfaceResponse> MakeAsync(params Tag[] tags) => silo.CreateNetworkInterfaceAsync(
            new()
            {
                SubnetId = SubnetIdA, Groups = ["sg-02"],
                TagSpecifications = tags is [] ? null : [new TagSpecification { ResourceType = ResourceType.NetworkInterface, Tags = [.. tags] }],
            }, Cancellation);
        var made = (await MakeAsync(OfCluster("test"))).NetworkInterface.NetworkInterfaceId;
        vpc.Settle();
        var before = vpc.Emulator.Do(model => model.Enis.Count());

        foreach (var call in new Func<Task>[]
        {
            () => MakeAsync(), // Without a tag nobody would know whose it is.
            () => MakeAsync(OfCluster("other")),
            () => silo.CreateTagsAsync(new CreateTagsRequest([made], [new Tag("any", "")]), Cancellation), // Later than it was made.
            () => silo.DeleteTagsAsync(new DeleteTagsRequest { Resources = [made], Tags = [new Tag("cluster.k8s.amazonaws.com/name", null)] }, Cancellation),
            () => silo.AttachNetworkInterfaceAsync(new() { NetworkInterfaceId = made, InstanceId = "i-02", DeviceIndex = 1 }, Cancellation), // No node of the cluster.
            () => silo.DescribeVpcsAsync(Cancellation),
            () => vpc.Ec2.DescribeSubnetsAsync(Cancellation), // Somebody who has no policy.
        })
        {
            Assert.Equal("UnauthorizedOperation", (await Assert.ThrowsAsync<AmazonEC2Exception>(call)).ErrorCode);
        }

        Assert.Equal(before, vpc.Emulator.Do(model => model.Enis.Count()));
        // What nobody knows is told as what it is.
        Assert.Equal("InvalidNetworkInterfaceID.NotFound", (await Assert.ThrowsAsync<AmazonEC2Exception>(
            () => silo.DeleteNetworkInterfaceAsync(new DeleteNetworkInterfaceRequest { NetworkInterfaceId = "eni-0123456789abcdef0" }, Cancellation))).ErrorCode);
    }

    [Theory]
    [InlineData("""{"Statement":[{"Sid":"A","Effect":"Deny","Action":"ec2:CreateTags","Resource":"*"}]}""", "only Allow")]
    [InlineData("""{"Statement":[{"Sid":"A","Effect":"Allow","Action":"ec2:*","Resource":"*"}]}""", "whole actions' names")]
    [InlineData("""{"Statement":[{"Sid":"A","Effect":"Allow","NotAction":"ec2:CreateTags","Resource":"*"}]}""", "`NotAction` is not understood")]
    [InlineData("""{"Statement":[{"Sid":"A","Effect":"Allow","Action":"ec2:CreateTags","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}""", "The operator Bool is not understood")]
    public void What_would_not_be_enforced_is_refused_when_it_is_read(string document, string said) =>
        Assert.Contains(said, Assert.Throws<NotSupportedException>(() => IamPolicy.Parse(document)).Message, StringComparison.Ordinal);

    /// <summary>A node's whole life in EC2: each method of the interface.</summary>
    private static async Task DoEverythingAsync(RunningVpc vpc, IEc2 ec2)
    {
        await ec2.DescribeInstancesAsync([Node], Cancellation);
        await ec2.DescribeInterfacesAsync(new Ec2InterfaceQuery { VpcId = "vpc-01", Zone = "eu-west-1a" }, null, Cancellation);
        await ec2.DescribeSubnetsAsync("vpc-01", Cancellation);
        await ec2.DescribeInstanceTypesAsync(["m5.large"], null, Cancellation);
        await ec2.GetReservationsAsync(SubnetIdA, Cancellation);

        var primary = vpc.PrimaryOf(Node); // Made with its instance, so without a tag of ours.
        await ec2.AssignAsync(primary, [Address("10.0.1.60")], Cancellation);
        await ec2.AssignCountedAsync(primary, 1, prefixes: false, Cancellation);
        await ec2.UnassignAsync(primary, [Address("10.0.1.60")], Cancellation);

        var made = await ec2.CreateInterfaceAsync(new Ec2NewInterface(
            SubnetIdA, [Address("10.0.1.70"), Address("10.0.1.71")], ["sg-01", "sg-02"], "of a test",
            ImmutableSortedDictionary<string, string>.Empty.Add("cluster.k8s.amazonaws.com/name", RunningVpc.Cluster).Add("aws-vpc-cni/intent", "1"), "token"), Cancellation);
        vpc.Settle();
        var attachment = await ec2.AttachAsync(made.EniId, Node, 1, 0, Cancellation);
        vpc.Settle();
        await ec2.SetDeleteOnTerminationAsync(made.EniId, attachment, Cancellation);
        await ec2.SetGroupsAsync(made.EniId, made.Groups, Cancellation);
        await ec2.DetachAsync(attachment, Cancellation);
        vpc.Settle();
        await ec2.DeleteInterfaceAsync(made.EniId, Cancellation);
    }

    private static Block Address(string text) => new(Ip.Parse(text));
}
