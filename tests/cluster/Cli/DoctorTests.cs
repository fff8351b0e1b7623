using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.Json;
using Amazon.EC2;
using Amazon.EC2.Model;
using Amazon.Runtime;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains;
using AwsVpcCni.Silo.Cli.Doctor;
using AwsVpcCni.Silo.Ec2;
using AwsVpcCni.Tests.Cluster.VpcEmulator;
using AwsVpcCni.VpcEmulator.Model;
using Microsoft.Extensions.Time.Testing;
using Xunit;
using static AwsVpcCni.Tests.Cluster.VpcEmulator.RunningVpc;

namespace AwsVpcCni.Tests.Cluster.Cli;

/// <summary>`ipam doctor`, against an EC2 API on a socket; its DynamoDB is looked at elsewhere.</summary>
public sealed class DoctorTests : IDisposable
{
    private const string VpcId = "vpc-0123456789abcdef0";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("avc-doctor-");

    private string Key => Path.Combine(_folder.FullName, "key.pub");

    public DoctorTests()
    {
        using var pair = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        File.WriteAllText(Key, pair.ExportSubjectPublicKeyInfoPem());
    }

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task EC2_is_read_what_changes_it_is_asked_for_by_DryRun_and_nothing_is_changed()
    {
        await using var vpc = await StartAsync(policy: Repository.Ec2Policy);

        var findings = await LookAsync(vpc);

        Assert.Equal(
            [
                "Ok ec2:DescribeSubnets", "Ok ec2:DescribeNetworkInterfaces", "Ok ec2:DescribeInstances", "Ok ec2:DescribeInstanceTypes", "Ok ec2:GetSubnetCidrReservations", "Ok ec2:CreateNetworkInterface",
                "Ok ec2:AttachNetworkInterface", "Ok ec2:ModifyNetworkInterfaceAttribute", "Ok ec2:DetachNetworkInterface", "Ok ec2:DeleteNetworkInterface",
                "NotCheckable ec2:AssignPrivateIpAddresses", "NotCheckable ec2:UnassignPrivateIpAddresses",
            ],
            findings.Select(finding => $"{finding.Outcome} {finding.Check}"));
        Assert.StartsWith("vpc-01 has subnet-0a (eu-west-1a, 10.0.1.0/24, ", findings[0].Text, StringComparison.Ordinal);
        Assert.StartsWith("3 of 3 asked for", findings[2].Text, StringComparison.Ordinal);
        Assert.Contains("\"Action\":\"ec2:AssignPrivateIpAddresses\"", findings[^2].Text, StringComparison.Ordinal);
        Assert.Equal(
            ["AttachNetworkInterface DryRunOperation", "CreateNetworkInterface DryRunOperation", "DeleteNetworkInterface DryRunOperation", "DetachNetworkInterface DryRunOperation", "ModifyNetworkInterfaceAttribute DryRunOperation"],
            vpc.Emulator.Calls.Entries().Where(call => !call.IsRead).Select(call => $"{call.Action} {call.Error}").Order());
    }

    [Theory]
    [InlineData("DescribeSubnets")]
    [InlineData("GetSubnetCidrReservations")]
    [InlineData("DescribeNetworkInterfaces")]
    [InlineData("DescribeInstances")]
    [InlineData("DescribeInstanceTypes")]
    [InlineData("CreateNetworkInterface")]
    [InlineData("AttachNetworkInterface")]
    [InlineData("ModifyNetworkInterfaceAttribute")]
    [InlineData("DetachNetworkInterface")]
    [InlineData("DeleteNetworkInterface")]
    public async Task An_action_that_the_role_may_not_is_named_with_the_statement_that_it_needs(string action)
    {
        await using var vpc = await StartAsync();
        await vpc.Ec2.CreateTagsAsync(new CreateTagsRequest([vpc.PrimaryOf(Node)], [new Tag("cluster.k8s.amazonaws.com/name", "test")]), Cancellation);
        vpc.Settle();
        vpc.Emulator.Add(new Fault { Action = action, Code = "UnauthorizedOperation" });

        var failed = Assert.Single(await LookAsync(vpc), finding => finding.Outcome == Outcome.Failed);

        Assert.Equal($"ec2:{action}", failed.Check);
        Assert.Contains("UnauthorizedOperation", failed.Text, StringComparison.Ordinal);
        Assert.Contains($$"""The silo's role needs {"Effect":"Allow","Action":"ec2:{{action}}","Resource":"*"}""", failed.Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("AttachNetworkInterface")]
    [InlineData("ModifyNetworkInterfaceAttribute")]
    [InlineData("DetachNetworkInterface")]
    [InlineData("DeleteNetworkInterface")]
    public async Task A_refusal_where_nothing_is_the_clusters_by_tag_says_nothing_of_the_policy(string action)
    {
        await using var vpc = await StartAsync(policy: Repository.Ec2Policy);
        vpc.Emulator.Add(new Fault { Action = action, Code = "UnauthorizedOperation" });

        var finding = Assert.Single(await LookAsync(vpc), finding => finding.Check == $"ec2:{action}");

        Assert.Equal(Outcome.NotCheckable, finding.Outcome);
        Assert.Contains("UnauthorizedOperation", finding.Text, StringComparison.Ordinal);
        Assert.Contains("None of the 3 that were tried has this cluster's tag", finding.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_one_instance_or_subnet_may_not_another_may()
    {
        await using var vpc = await StartAsync();
        vpc.Emulator.Add(new Fault { Action = "CreateNetworkInterface", Code = "UnauthorizedOperation", Calls = 1 });
        vpc.Emulator.Add(new Fault { Action = "DetachNetworkInterface", Code = "UnauthorizedOperation", Calls = 2 });

        Assert.DoesNotContain(await LookAsync(vpc), finding => finding.Outcome == Outcome.Failed);
    }

    [Fact]
    public async Task An_answer_that_is_neither_yes_nor_no_and_an_endpoint_without_DryRun_are_told_apart()
    {
        await using var vpc = await StartAsync(policy: Repository.Ec2Policy);
        vpc.Emulator.Add(new Fault { Action = "DeleteNetworkInterface", Code = "InternalError" });
        Assert.StartsWith("EC2 says neither yes nor no: ", Assert.Single(await LookAsync(vpc), finding => finding.Check == "ec2:DeleteNetworkInterface").Text, StringComparison.Ordinal);

        var deaf = new Ec2Checks(new SdkEc2(() => Client(vpc)), new SdkEc2(() => Client(vpc)), Settings("vpc-01")); // As if it passed DryRun over.
        Assert.Contains(await deaf.LookAsync(Cancellation).ToListAsync(Cancellation), finding => finding is { Check: "ec2:CreateNetworkInterface", Outcome: Outcome.Failed } && finding.Text.StartsWith("EC2 has done it", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_VPC_that_is_not_there_is_named_and_an_EC2_that_is_away_or_knows_us_not_is_asked_once()
    {
        await using var vpc = await StartAsync(policy: Repository.Ec2Policy);
        var elsewhere = await new Ec2Checks(new SdkEc2(() => Client(vpc)), new SdkEc2(() => Client(vpc), true), Settings("vpc-02")).LookAsync(Cancellation).ToListAsync(Cancellation);
        Assert.Equal((Outcome.Failed, "EC2 shows no subnet of vpc-02. Correct Ec2:VpcId or Ec2:Region."), (elsewhere[0].Outcome, elsewhere[0].Text));
        Assert.Contains(elsewhere, finding => finding is { Check: "ec2:CreateNetworkInterface", Outcome: Outcome.NotTried });

        vpc.Emulator.Add(new Fault { Action = "*", Code = "AuthFailure" });
        var before = vpc.Emulator.Calls.Entries().Count;
        Assert.Equal([Outcome.Failed, Outcome.NotTried], (await LookAsync(vpc)).Select(finding => finding.Outcome));
        Assert.Equal(1, vpc.Emulator.Calls.Entries().Count - before);
    }

    [Fact]
    public async Task With_DryRun_no_address_is_drawn_or_returned()
    {
        var dry = new SdkEc2(() => new AmazonEC2Client(new BasicAWSCredentials("x", "y"), new AmazonEC2Config { ServiceURL = "http://127.0.0.1:9" }), dryRun: true);

        await Assert.ThrowsAsync<InvalidOperationException>(() => dry.AssignAsync("eni-01", [], Cancellation));
        await Assert.ThrowsAsync<InvalidOperationException>(() => dry.AssignCountedAsync("eni-01", 1, false, Cancellation));
        await Assert.ThrowsAsync<InvalidOperationException>(() => dry.UnassignAsync("eni-01", [], Cancellation));
    }

    [Theory]
    [InlineData(0, "ok clock 0 s")]
    [InlineData(9, "ok clock 9 s ahead of ec2.test")]
    [InlineData(60, "FAILED clock 60 s ahead of ec2.test: from 10 s on nodes' tokens may be refused, and from 5 min on AWS refuses every call.")]
    [InlineData(-400, "FAILED clock 400 s behind ec2.test: ")]
    public async Task The_clock_is_held_against_the_date_of_the_answers(int secondsAhead, string said)
    {
        var time = new FakeTimeProvider(new DateTimeOffset(2026, 11, 25, 12, 0, 0, 500, TimeSpan.Zero));
        var clock = new ClockWatch(time, new Dated(new DateTimeOffset(2026, 11, 25, 12, 0, 0, TimeSpan.Zero).AddSeconds(-secondsAhead)));
        Assert.Equal(Outcome.NotTried, Assert.Single(clock.Look()).Outcome);

        using var http = clock.CreateHttpClient(new AmazonEC2Config());
        (await http.GetAsync(new Uri("https://ec2.test/"), Cancellation)).Dispose();

        Assert.StartsWith(said, string.Join(' ', $"{Assert.Single(clock.Look())}".Split(' ', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_command_says_a_line_for_each_and_how_it_ended()
    {
        await using var vpc = await StartAsync(description => description with { VpcId = VpcId }, time: TimeProvider.System, policy: Repository.Ec2Policy);
        var path = Path.Combine(_folder.FullName, "new", "silo.db");

        var well = await Tool(vpc, path).RunAsync("doctor");
        Assert.True(well.ExitCode == 0, well.Output + well.Errors);
        foreach (var line in new[]
        {
            "ok settings each is understood", "ok NodeApi:TokenKeyPath 1 public keys in", "ok NodeApi:CertificatePath not set", "ok Silo:CertificatePath not set", "ok NodeApi:Port ", "ok Silo:GatewayPort 127.0.0.1 port ",
            $"ok Storage:Path {path}: not there yet, and {_folder.FullName} can be written", $"ok ec2:DescribeSubnets {VpcId} has subnet-0a", "ok ec2:AttachNetworkInterface allowed, by DryRun: eni-", "not checkable ec2:AssignPrivateIpAddresses", "ok clock ",
        })
        {
            Assert.Contains(well.Lines, said => said.StartsWith(line, StringComparison.Ordinal));
        }

        Assert.False(Directory.Exists(Path.GetDirectoryName(path)));
        Assert.Equal(["key.pub"], _folder.GetFileSystemInfos().Select(file => file.Name));

        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        await File.WriteAllTextAsync(Key, "no key", Cancellation);
        var ill = await Tool(vpc, path).With("Http__Port", $"{((IPEndPoint)taken.LocalEndpoint).Port}").RunAsync("doctor", "--json");
        Assert.Equal(1, ill.ExitCode);
        Assert.Equal(
            ["NodeApi:TokenKeyPath", "Http:Port"],
            JsonElement.Parse(ill.Output).EnumerateArray().Where(finding => finding.GetProperty("outcome").GetString() == "Failed").Select(finding => finding.GetProperty("check").GetString()));
    }

    [Fact]
    public async Task A_file_that_a_silo_has_and_settings_that_are_wrong_are_found()
    {
        await using var vpc = await StartAsync(description => description with { VpcId = VpcId }, time: TimeProvider.System, policy: Repository.Ec2Policy);
        var path = Path.Combine(_folder.FullName, "silo.db");
        using (AwsVpcCni.Silo.Storage.Sqlite.Database.Open(path, TimeProvider.System))
        {
            Assert.Contains((await Tool(vpc, path).RunAsync("doctor")).Lines, line => line.StartsWith($"FAILED Storage:Path {path}: a silo has it.", StringComparison.Ordinal));
        }

        Assert.Contains((await Tool(vpc, path).RunAsync("doctor")).Lines, line => line.StartsWith($"ok Storage:Path {path}: whole, schema 1", StringComparison.Ordinal));

        File.Delete(path + ".lock");
        Directory.CreateDirectory(path + ".lock"); // Root may read every file; what it cannot read as one is refused in the same way.
        foreach (var command in (string[][])[["doctor"], ["tables", "check"]])
        {
            var unread = await Tool(vpc, path).RunAsync(command);
            Assert.Equal(1, unread.ExitCode);
            Assert.Contains($"{path}.lock: cannot be read (Access to the path '{path}.lock' is denied.), so it is not known whether a silo has the file.", unread.Output + unread.Errors, StringComparison.Ordinal);
            Assert.DoesNotContain("Unhandled exception", unread.Errors, StringComparison.Ordinal);
        }

        var wrong = await Tool(vpc, "silo.db").With("Ec2__VpcId", null).RunAsync("doctor");
        Assert.Equal(1, wrong.ExitCode);
        Assert.Equal(
            ["FAILED settings Ec2:VpcId is not set", "FAILED settings Storage:Path 'silo.db' is not absolute", "not tried everything else It depends on the settings. Correct them, then look again."],
            wrong.Lines.Select(line => line.Split(';')[0]));
    }

    private Ipam Tool(RunningVpc vpc, string path) => new Ipam(path)
        .With("Ec2__VpcId", VpcId).With("Ec2__Region", "eu-west-1").With("Ec2__Endpoint", vpc.Emulator.Endpoint.ToString()).With("NodeApi__TokenKeyPath", Key)
        .With("NodeApi__Port", "0").With("Http__Port", "0").With("Silo__Port", FreePort()).With("Silo__GatewayPort", FreePort());

    private static string FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return $"{((IPEndPoint)listener.LocalEndpoint).Port}";
    }

    private static ClusterSettings Settings(string vpcId) => new("test", vpcId, "account/eu-west-1", new PoolPolicy(), new Timing());

    private static async Task<List<Finding>> LookAsync(RunningVpc vpc) =>
        await new Ec2Checks(new SdkEc2(() => Client(vpc)), new SdkEc2(() => Client(vpc), dryRun: true), Settings("vpc-01")).LookAsync(Cancellation).ToListAsync(Cancellation);

    private static AmazonEC2Client Client(RunningVpc vpc) => vpc.Client(credentials: new BasicAWSCredentials(RunningVpc.Cluster, "y"));

    private sealed class Dated(DateTimeOffset date) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(new HttpResponseMessage { Headers = { Date = date } });
    }
}
