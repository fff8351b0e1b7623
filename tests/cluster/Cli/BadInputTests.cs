using AwsVpcCni.Tests.Cluster.Silos;
using AwsVpcCni.Tests.Cluster.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Cli;

/// <summary>`ipam` as a process beside a silo, asked what it cannot answer: it says what is wrong and ends with 1, and nobody sees a stack.</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed class BadInputTests(DynamoDbLocal dynamo)
{
    private static readonly (string Words, string Said)[] Bad =
    [
        ("frobnicate", "'frobnicate'"),
        ("who", "Required argument"),
        ("who 10.0.0", "10.0.0 is no"),
        ("who fe80::1", "fe80::1 is in no subnet"),
        ("who 192.0.2.1", "192.0.2.1 is in no subnet"),
        ("who 10.0.0.9 --at yesterday", "yesterday"),
        ("who 10.0.0.9 --at 2999-01-01T00:00:00Z", "2999"),
        ("node web-0", "web-0"),
        ("node i-0123456789abcdef0", "i-0123456789abcdef0"),
        ("nodes --gateway nowhere", "--gateway nowhere is no address and port"),
        ("nodes --gateway 127.0.0.1:9", "127.0.0.1:9"),
        ("nodes --cluster another", "another"),
        ("subnets --vpc vpc-0fffffffffffffff0", "vpc-0fffffffffffffff0 is not"),
        ("pods --waiting now", "'now'"),
        ("hold everything --why x", "everything"),
        ("policy set { --why x", "{"),
    ];

    [Fact]
    public async Task What_is_wrong_is_said_without_a_stack()
    {
        await using var store = new DynamoDbStore(dynamo);
        await using var silos = new SiloProcesses(dynamo, store, new Dictionary<string, string> { ["Ec2__Endpoint"] = Ec2Process.Endpoint });
        await using var ec2 = await Ec2Process.StartAsync(dynamo, silos.Folder, Fleet.Vpc([]), TestContext.Current.CancellationToken);
        silos.Start(1);
        await silos.ReadyAsync(1, TestContext.Current.CancellationToken);

        List<string> wrong = [];
        var tool = new Ipam(dynamo, store.Settings).With("Silo__GatewayPort", "30001");
        foreach (var (words, said) in Bad)
        {
            var ended = await tool.RunAsync(words.Split(' '));
            if (ended is not { ExitCode: 1, Output: "" } || !ended.Errors.StartsWith("silo: ", StringComparison.Ordinal) || !ended.Errors.Contains(said, StringComparison.Ordinal) || ended.Errors.Contains("   at ", StringComparison.Ordinal))
            {
                wrong.Add($"{words}: {ended.ExitCode} {ended.Output} {ended.Errors}");
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }
}
