using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Xunit;
using static AwsVpcCni.Tests.Cluster.VpcEmulator.RunningVpc;

namespace AwsVpcCni.Tests.Cluster.VpcEmulator;

public sealed class CallLogTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("emulator-").FullName;

    private string Log => Path.Combine(_folder, "calls.jsonl");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_line_is_in_the_file_before_its_answer()
    {
        await using var vpc = await StartAsync(callLog: Log);
        await vpc.Ec2.DescribeInstancesAsync(new() { Filters = [new("instance-id", [Node, "i-02"])], MaxResults = 100 }, Cancellation);
        await Assert.ThrowsAnyAsync<Exception>(() => vpc.Ec2.DeleteNetworkInterfaceAsync(new() { NetworkInterfaceId = vpc.PrimaryOf(Node) }, Cancellation));
        var lines = (await ReadSharedAsync()).ConvertAll(line => JsonNode.Parse(line)!);
        Assert.Equal(2, lines.Count);
        Assert.Equal("2026-01-01T00:00:00.000000Z", (string)lines[0]["at"]!);
        Assert.Equal("x", (string)lines[0]["caller"]!); // The access key id.
        Assert.Equal(["i-01", "i-02"], lines[0]["instanceIds"]!.AsArray().Select(id => (string)id!));
        Assert.Equal("i-02", (string)lines[0]["filters"]!["instance-id"]![1]!);
        Assert.Equal("100", (string)lines[0]["parameters"]!["MaxResults"]!);
        Assert.Equal((200, null, 99.0), ((int)lines[0]["status"]!, (string?)lines[0]["error"], (double)lines[0]["tokensLeft"]!));
        Assert.Equal((2, "DeleteNetworkInterface", 400, "InvalidParameterValue"),
            ((int)lines[1]["sequence"]!, (string)lines[1]["action"]!, (int)lines[1]["status"]!, (string)lines[1]["error"]!));
        using var calls = await vpc.ControlAsync(HttpMethod.Get, "calls?after=1");
        Assert.Equal(2, (int)Assert.Single((await calls.Content.ReadFromJsonAsync<JsonArray>(Cancellation))!)!["sequence"]!);
    }

    [Fact]
    public async Task The_control_API_launches_shows_and_refuses()
    {
        await using var vpc = await StartAsync();
        using var ready = await vpc.ControlAsync(HttpMethod.Get, "ready");
        Assert.Equal(HttpStatusCode.OK, ready.StatusCode);
        using var launched = await vpc.ControlAsync(HttpMethod.Post, "instances", new { id = "i-04", type = "m5.large", subnet = SubnetIdA, address = "10.0.1.40" });
        Assert.Equal("10.0.1.40", (string)(await launched.Content.ReadFromJsonAsync<JsonNode>(Cancellation))!["addresses"]![0]!);
        using var state = await vpc.ControlAsync(HttpMethod.Get, "state");
        var interfaces = (await state.Content.ReadFromJsonAsync<JsonNode>(Cancellation))!["interfaces"]!.AsArray();
        Assert.Contains(interfaces, eni => (string)eni!["instance"]! == "i-04" && (string)eni["addresses"]![0]! == "10.0.1.40");
        using var again = await vpc.ControlAsync(HttpMethod.Post, "instances", new { id = "i-04", type = "m5.large", subnet = SubnetIdA });
        using var unknown = await vpc.ControlAsync(HttpMethod.Post, "instances", new { type = "m5.large", subnet = SubnetIdA, colour = "red" });
        using var nowhere = await vpc.ControlAsync(HttpMethod.Get, "nowhere");
        Assert.Equal((HttpStatusCode.BadRequest, HttpStatusCode.BadRequest, HttpStatusCode.NotFound), (again.StatusCode, unknown.StatusCode, nowhere.StatusCode));
    }

    [Fact]
    public async Task The_program_runs_until_SIGTERM_and_its_log_passes_the_check()
    {
        var file = Path.Combine(_folder, "vpc.json");
        await File.WriteAllTextAsync(file, """
            { "vpcId": "vpc-01", "cidrs": ["10.0.0.0/16"], "securityGroups": [{ "id": "sg-01", "name": "default" }],
              "subnets": [{ "id": "subnet-0a", "cidr": "10.0.1.0/24", "zone": "eu-west-1a", "zoneId": "euw1-az1" }],
              "instances": [{ "id": "i-01", "type": "m5.large", "subnet": "subnet-0a" }] }
            """, Cancellation);
        using var run = Start("run", "--vpc", file, "--listen", "http://127.0.0.1:0", "--call-log", Log);
        try
        {
            var ready = await run.StandardOutput.ReadLineAsync(Cancellation).AsTask().WaitAsync(TimeSpan.FromSeconds(60), Cancellation);
            Assert.StartsWith("vpc-emulator: ready at http://127.0.0.1:", ready, StringComparison.Ordinal);
            using var http = new HttpClient();
            using var request = new HttpRequestMessage(HttpMethod.Post, ready!["vpc-emulator: ready at ".Length..])
            {
                Content = new FormUrlEncodedContent(new Dictionary<string, string> { ["Action"] = "DescribeVpcs", ["Version"] = "2016-11-15" }),
            };
            request.Headers.TryAddWithoutValidation("Authorization", "any");
            using var answer = await http.SendAsync(request, Cancellation);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            using var kill = Process.Start("kill", ["-TERM", $"{run.Id}"]);
            Assert.Equal(0, await ExitAsync(run));
        }
        finally
        {
            if (!run.HasExited)
            {
                run.Kill();
            }
        }

        using var good = Start("check-calls", "--log", Log);
        Assert.Equal(0, await ExitAsync(good));
        Assert.Contains("1 calls, joins not checked, 0 violations", await good.StandardOutput.ReadToEndAsync(Cancellation), StringComparison.Ordinal);
        var joins = Path.Combine(_folder, "joins");
        await File.WriteAllTextAsync(joins, "2026-01-01T00:00:00Z i-01\n", Cancellation);
        using var bad = Start("check-calls", "--log", Log, "--joins", joins);
        Assert.Equal(1, await ExitAsync(bad));
        Assert.Contains("i-01: joined at", await bad.StandardError.ReadToEndAsync(Cancellation), StringComparison.Ordinal);
        using var none = Start("check-calls", "--log", Log + ".none");
        Assert.Equal(2, await ExitAsync(none));
    }

    [Fact]
    public async Task A_wrong_file_is_named_with_what_is_wrong()
    {
        var file = Path.Combine(_folder, "vpc.json");
        await File.WriteAllTextAsync(file, """{ "vpcId": "vpc-01", "cidrs": ["10.0.0.0/16"], "subnets": [], "securityGroups": [], "colour": "red" }""", Cancellation);
        using var run = Start("run", "--vpc", file, "--listen", "http://127.0.0.1:0");
        Assert.Equal(1, await ExitAsync(run));
        var error = await run.StandardError.ReadToEndAsync(Cancellation);
        Assert.Contains("colour", error, StringComparison.Ordinal);
        Assert.Contains(file, error, StringComparison.Ordinal);
    }

    private static Process Start(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "vpc-emulator.dll"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        return Process.Start(start)!;
    }

    private static async Task<int> ExitAsync(Process process)
    {
        await process.WaitForExitAsync(Cancellation).WaitAsync(TimeSpan.FromSeconds(60), Cancellation);
        return process.ExitCode;
    }

    private async Task<List<string>> ReadSharedAsync()
    {
        await using var stream = new FileStream(Log, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(stream);
        return [.. (await reader.ReadToEndAsync(Cancellation)).Split('\n', StringSplitOptions.RemoveEmptyEntries)];
    }
}
