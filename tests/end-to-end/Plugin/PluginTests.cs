using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using AwsVpcCni.CniProtocol;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Plugin;

/// <summary>The published plugin against an executor's socket that the test holds.</summary>
public sealed class PluginTests : IDisposable
{
    private static readonly byte[] Config = """{"cniVersion":"1.0.0","name":"aws-cni","type":"aws-vpc-cni"}"""u8.ToArray();

    private readonly FakeExecutor executor = new();

    public void Dispose() => executor.Dispose();

    [Fact]
    public async Task The_reply_is_passed_on_byte_by_byte_with_its_exit_code()
    {
        byte[] body = [0, 0xff, (byte)'\n', .. "{ \"any\" : 1 }"u8];

        var (result, request) = await ExchangeAsync(Variables("ADD"), Config, c => c.Send(Frame.WriteReply(7, body)));

        Assert.Equal(7, result.ExitCode);
        Assert.Equal(body, result.Stdout);
        Assert.Empty(result.Stderr);
        Assert.Equal(Config, request.Stdin);
    }

    [Fact]
    public async Task The_request_has_the_CNI_variables_and_no_others()
    {
        var (_, request) = await ExchangeAsync([.. Variables("ADD"), "CNI_ARGS=A=b;C=d", "HOME=/root", "XCNI_A=b"], Config, c => c.Send(Frame.WriteReply(0, [])));

        Assert.Equal(
            ["CNI_ARGS=A=b;C=d", "CNI_COMMAND=ADD", "CNI_CONTAINERID=c-1", "CNI_IFNAME=eth0", "CNI_NETNS=/proc/self/ns/net"],
            Encoding.UTF8.GetString(request.Environment).Split('\0', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal));
        Assert.Equal(0, request.Environment[^1]);
    }

    [Fact]
    public async Task The_pods_namespace_comes_as_a_descriptor()
    {
        var (_, request) = await ExchangeAsync(Variables("ADD"), Config, c => c.Send(Frame.WriteReply(0, [])));

        Assert.Equal(new FileInfo("/proc/self/ns/net").LinkTarget, request.Namespace);
    }

    [Theory]
    [InlineData("")]
    [InlineData("/nowhere/at/all")]
    public async Task A_namespace_that_cannot_be_opened_does_not_come_and_the_request_goes_on(string netns)
    {
        string[] variables = [.. Variables("DEL").Where(v => !v.StartsWith("CNI_NETNS=", StringComparison.Ordinal)), "CNI_NETNS=" + netns];

        var (result, request) = await ExchangeAsync(variables, Config, c => c.Send(Frame.WriteReply(0, [])));

        Assert.Null(request.Namespace);
        Assert.Equal(0, result.ExitCode);
    }

    [Fact]
    public async Task A_config_of_1_MiB_passes()
    {
        var stdin = new byte[Frame.MaxStdinSize];
        new Random(1).NextBytes(stdin);

        var (result, request) = await ExchangeAsync(Variables("ADD"), stdin, c => c.Send(Frame.WriteReply(0, "done"u8)));

        Assert.Equal(stdin, request.Stdin);
        Assert.Equal("done"u8, result.Stdout);
    }

    [Fact]
    public async Task One_byte_more_is_refused_and_the_executor_hears_nothing()
    {
        var result = await RunAsync(Variables("ADD"), new byte[Frame.MaxStdinSize + 1]);

        AssertError(result, 6, "1 MiB");
        Assert.False(executor.HasCaller);
    }

    [Theory]
    [InlineData(Frame.MaxStdinSize + 1, "exec \"$0\"")]
    [InlineData(0, "exec \"$0\" <&-")]
    public async Task A_DEL_needs_no_config_and_goes_on_without_one_that_is_too_large_or_cannot_be_read(int size, string shell)
    {
        var serving = executor.ServeAsync(c => c.Send(Frame.WriteReply(0, [])));
        var result = await RunAsync([.. Variables("DEL"), "AWS_VPC_CNI_SOCKET=" + executor.SocketPath], new byte[size], "/bin/sh", "-c", shell);

        Assert.Equal((0, 0), (result.ExitCode, result.Stdout.Length));
        Assert.Empty((await serving).Stdin);
    }

    [Fact]
    public async Task A_reply_of_1_MiB_in_pieces_passes()
    {
        var body = new byte[Frame.MaxReplyBodySize];
        new Random(2).NextBytes(body);

        var (result, _) = await ExchangeAsync(Variables("ADD"), Config, connection =>
        {
            var reply = Frame.WriteReply(0, body);
            for (var at = 0; at < 20; at++)
            {
                connection.Send(reply.AsSpan(at, 1));
            }

            foreach (var piece in reply.Skip(20).Chunk(100_003))
            {
                connection.Send(piece);
            }
        });

        Assert.Equal(body, result.Stdout);
    }

    [Theory]
    [InlineData(256)]
    [InlineData(-1)]
    public async Task An_exit_code_that_a_process_cannot_have_is_1(int code)
    {
        var reply = Frame.WriteReply(0, "x"u8);
        BinaryPrimitives.WriteInt32LittleEndian(reply.AsSpan(4), code);

        var (result, _) = await ExchangeAsync(Variables("ADD"), Config, c => c.Send(reply));

        Assert.Equal(1, result.ExitCode);
    }

    [Theory]
    [InlineData("ADD")]
    [InlineData("DEL")]
    public async Task Without_a_socket_an_add_is_to_be_tried_again_and_a_del_succeeds(string command)
    {
        var result = await RunAsync(["CNI_COMMAND=" + command, "AWS_VPC_CNI_SOCKET=/nowhere/executor.sock"], Config);

        AssertUnanswered(command, result, "there is no such socket");
    }

    [Theory]
    [InlineData("CHECK", 11)]
    [InlineData("GC", 11)]
    [InlineData("STATUS", 50)] // After 15 s, and the specification's word for "no ADD can be served now".
    public async Task Without_a_socket_the_other_commands_fail(string command, int code) =>
        AssertError(await RunAsync(["CNI_COMMAND=" + command, "AWS_VPC_CNI_SOCKET=/nowhere/executor.sock"], Config), code, "/nowhere/executor.sock");

    [Theory]
    [InlineData(false)]
    [InlineData(true)] // One that was killed leaves its socket's file, where nobody listens.
    public async Task A_STATUS_while_the_executor_is_replaced_is_answered_by_the_next_one(bool isLeft)
    {
        if (isLeft)
        {
            Leave(executor.LaterSocketPath);
        }

        using var plugin = await PluginProcess.StartAsync([.. Variables("STATUS"), "AWS_VPC_CNI_SOCKET=" + executor.LaterSocketPath], Config);
        await Task.Delay(TimeSpan.FromSeconds(2.5), TimeProvider.System, TestContext.Current.CancellationToken);
        executor.ListenLater();
        var serving = executor.ServeAsync(c => c.Send(Frame.WriteReply(0, "served"u8)));

        var result = await plugin.ResultAsync();
        Assert.Equal((0, "served"), (result.ExitCode, Encoding.UTF8.GetString(result.Stdout)));
        Assert.Equal(Config, (await serving).Stdin);
    }

    /// <summary>One that is killed may take a connection more before the kernel has closed its socket.</summary>
    [Fact]
    public async Task A_STATUS_that_executors_cut_off_some_times_is_answered_by_the_next_one()
    {
        using var plugin = await PluginProcess.StartAsync([.. Variables("STATUS"), "AWS_VPC_CNI_SOCKET=" + executor.SocketPath], Config);
        for (var cut = 0; cut < 4; cut++)
        {
            await executor.AcceptAsync(_ => { });
        }

        await executor.ServeAsync(c => c.Send(Frame.WriteReply(0, "served"u8)));

        var result = await plugin.ResultAsync();
        Assert.Equal((0, "served"), (result.ExitCode, Encoding.UTF8.GetString(result.Stdout)));
    }

    [Theory]
    [InlineData("STATUS", 14, 40)]
    [InlineData("ADD", 0, 5)] // The runtime tries it again by itself.
    [InlineData("DEL", 0, 5)]
    public async Task Only_a_STATUS_waits_for_an_executor_and_that_for_15_s(string command, int least, int most)
    {
        Leave(executor.LaterSocketPath);
        var began = Stopwatch.GetTimestamp();

        var result = await RunAsync([.. Variables(command), "AWS_VPC_CNI_SOCKET=" + executor.LaterSocketPath], Config);

        Assert.InRange(Stopwatch.GetElapsedTime(began).TotalSeconds, least, most);
        Assert.Equal(command is "DEL" ? 0 : 1, result.ExitCode);
        if (command is "STATUS")
        {
            AssertError(result, 50, "nobody listens");
        }
    }

    [Theory]
    [InlineData("c-1", "eth0", "c-1:eth0")]
    [InlineData("0.A_b-", "net1@x", "0.A_b-:net1@x")]
    [InlineData("../c", "eth0", null)]
    [InlineData(".c", "eth0", null)]
    [InlineData("c:eth0", "eth0", null)]
    [InlineData("", "eth0", null)]
    [InlineData("c", "", null)]
    [InlineData("c", "..", null)]
    [InlineData("c", ".", null)]
    [InlineData("c", "a/b", null)]
    [InlineData("c", "sixteen-letters.", null)]
    [InlineData("c", "fifteen-letters", "c:fifteen-letters")]
    public async Task A_DEL_that_finds_no_executor_leaves_a_mark_whose_name_cannot_be_confused(string containerId, string ifName, string? mark)
    {
        var ended = executor.MakeMarks();
        string[] variables = ["CNI_COMMAND=DEL", "CNI_CONTAINERID=" + containerId, "CNI_NETNS=", "CNI_IFNAME=" + ifName, "AWS_VPC_CNI_SOCKET=" + executor.LaterSocketPath];

        for (var n = 0; n < 2; n++)
        {
            AssertUnanswered("DEL", await RunAsync(variables, Config), "");
        }

        Assert.Equal(mark is null ? [] : [mark], Names(ended));
        Assert.Equal((containerId, ifName) is var sandbox && mark is not null ? sandbox : null, EndedMark.TryParse($"{containerId}:{ifName}"));
        Assert.All(ended.EnumerateFiles(), file => Assert.Equal((0L, UnixFileMode.UserRead | UnixFileMode.UserWrite), (file.Length, file.UnixFileMode)));
    }

    [Theory]
    [InlineData(128, 1)]
    [InlineData(129, 0)]
    public async Task A_marks_container_id_is_as_long_as_an_executor_takes_it(int length, int marks)
    {
        var ended = executor.MakeMarks();
        await RunAsync(["CNI_COMMAND=DEL", "CNI_CONTAINERID=" + new string('c', length), "CNI_IFNAME=eth0", "AWS_VPC_CNI_SOCKET=" + executor.LaterSocketPath], Config);
        Assert.Equal(marks, Names(ended).Length);
    }

    [Fact]
    public async Task A_DEL_whose_answer_does_not_come_leaves_a_mark_and_one_that_is_answered_none()
    {
        var ended = executor.MakeMarks();
        var (result, _) = await ExchangeAsync(Variables("DEL"), Config, c => c.Send(Frame.WriteReply(0, [])));
        Assert.Equal((0, 0), (result.ExitCode, Names(ended).Length));

        (result, _) = await ExchangeAsync(Variables("DEL"), Config, _ => { });
        Assert.Equal(0, result.ExitCode);
        Assert.Equal(["c-1:eth0"], Names(ended));
    }

    [Fact]
    public async Task Without_the_executors_folder_no_mark_is_left()
    {
        AssertUnanswered("DEL", await RunAsync([.. Variables("DEL"), "AWS_VPC_CNI_SOCKET=" + executor.LaterSocketPath], Config), "");
        Assert.False(executor.Marks.Exists);
    }

    [Theory]
    [InlineData("", EndedMark.Most / 2)]
    [InlineData(""","prevResult":{"ips":[]}""", EndedMark.Most)]
    public async Task Marks_are_bounded_and_the_last_half_is_for_sandboxes_whose_ADD_has_succeeded(string keys, int most)
    {
        var ended = executor.MakeMarks();
        foreach (var n in Enumerable.Range(0, most - 1))
        {
            File.Create(Path.Combine(ended.FullName, $"{n}:eth0")).Dispose();
        }

        foreach (var n in new[] { 1, 2 })
        {
            var config = Encoding.UTF8.GetBytes($$"""{"cniVersion":"1.0.0","name":"aws-cni","type":"aws-vpc-cni"{{keys}}}""");
            AssertUnanswered("DEL", await RunAsync(["CNI_COMMAND=DEL", $"CNI_CONTAINERID=new-{n}", "CNI_IFNAME=eth0", "AWS_VPC_CNI_SOCKET=" + executor.LaterSocketPath], config), "");
        }

        Assert.Equal(["new-1:eth0"], Names(ended).Where(name => name.StartsWith("new", StringComparison.Ordinal)));
        Assert.Equal(most, Names(ended).Length);
    }

    [Theory]
    [InlineData("ADD")]
    [InlineData("DEL")]
    public async Task A_socket_that_a_dead_executor_left_is_no_executor(string command)
    {
        Leave(executor.LaterSocketPath);

        AssertUnanswered(command, await RunAsync(["CNI_COMMAND=" + command, "AWS_VPC_CNI_SOCKET=" + executor.LaterSocketPath], Config), "nobody listens");
    }

    [Theory]
    [InlineData("ADD")]
    [InlineData("DEL")]
    public async Task A_socket_path_beyond_the_kernels_limit_is_named(string command) => AssertUnanswered(
        command,
        await RunAsync(["CNI_COMMAND=" + command, "AWS_VPC_CNI_SOCKET=/" + new string('x', 200)], Config),
        "longer than 107 bytes");

    [Theory]
    [InlineData("ADD", 0)]
    [InlineData("DEL", 0)]
    [InlineData("ADD", 5)]
    [InlineData("ADD", 8)]
    [InlineData("ADD", 10)]
    [InlineData("DEL", 10)]
    public async Task An_executor_that_dies_in_its_answer_has_not_answered(string command, int sent)
    {
        var (result, _) = await ExchangeAsync(Variables(command), Config, c => c.Send(Frame.WriteReply(0, "whole"u8).AsSpan(0, sent)));

        AssertUnanswered(command, result, "closed the connection");
    }

    [Fact]
    public async Task An_executor_that_dies_before_it_has_read_has_not_answered()
    {
        var serving = executor.AcceptAsync(_ => { });

        var result = await RunAsync([.. Variables("ADD"), "AWS_VPC_CNI_SOCKET=" + executor.SocketPath], new byte[Frame.MaxStdinSize]);

        await serving;
        AssertError(result, 11, "node executor");
    }

    [Fact]
    public async Task A_reply_beyond_the_limit_is_no_reply()
    {
        var reply = Frame.WriteReply(0, "x"u8);
        BinaryPrimitives.WriteInt32LittleEndian(reply, Frame.MaxReplyBodySize + 1);

        var (result, _) = await ExchangeAsync(Variables("ADD"), Config, c => c.Send(reply));

        AssertError(result, 11, "node executor");
    }

    [Fact]
    public async Task A_killed_plugin_leaves_a_closed_connection_and_nothing_else()
    {
        var (asked, killed) = (new TaskCompletionSource(), new TaskCompletionSource());
        var serving = executor.ServeAsync(connection =>
        {
            asked.SetResult();
            killed.Task.Wait();
            Assert.Equal(0, connection.Receive(new byte[1])); // The end, not a time-out.
        });
        using var plugin = await PluginProcess.StartAsync([.. Variables("ADD"), "AWS_VPC_CNI_SOCKET=" + executor.SocketPath], Config);

        await asked.Task.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        plugin.Kill();
        killed.SetResult();

        await serving;
        Assert.Empty((await plugin.ResultAsync()).Stdout);
    }

    [Fact]
    public async Task A_result_that_cannot_be_printed_is_no_success()
    {
        var serving = executor.ServeAsync(c => c.Send(Frame.WriteReply(0, "result"u8)));

        var result = await RunAsync([.. Variables("ADD"), "AWS_VPC_CNI_SOCKET=" + executor.SocketPath], Config, "/bin/sh", "-c", "exec \"$0\" >/dev/full");

        await serving;
        Assert.Equal(1, result.ExitCode);
    }

    [Theory]
    [InlineData("ADD", "\\322\\0")] // 210 s: the executor's 200 s and the way.
    [InlineData("DEL", "\\31\\0")] // 25 s: the executor's 20 s and the way.
    public async Task Its_patience_ends_after_the_executors(string command, string seconds)
    {
        var trace = executor.SocketPath + ".trace";
        var serving = executor.ServeAsync(c => c.Send(Frame.WriteReply(0, [])));

        await RunAsync(
            [.. Variables(command), "AWS_VPC_CNI_SOCKET=" + executor.SocketPath], Config, "/usr/bin/strace", "-o", trace, "-e", "trace=setsockopt");

        await serving;
        var lines = await File.ReadAllLinesAsync(trace, TestContext.Current.CancellationToken);
        Assert.Contains(lines, l => l.Contains("SO_RCVTIMEO", StringComparison.Ordinal) && l.Contains('"' + seconds, StringComparison.Ordinal));
        Assert.Contains(lines, l => l.Contains("SO_SNDTIMEO", StringComparison.Ordinal) && l.Contains('"' + seconds, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Version_needs_no_executor()
    {
        var result = await RunAsync(["CNI_COMMAND=VERSION", "AWS_VPC_CNI_SOCKET=/nowhere"], """{"cniVersion":"1.0.0"}"""u8.ToArray());

        Assert.Equal(0, result.ExitCode);
        Assert.Equal(
            CniVersions.All.Select(v => v.Text()),
            JsonDocument.Parse(result.Stdout).RootElement.GetProperty("supportedVersions").EnumerateArray().Select(v => v.GetString()));
    }

    [Theory]
    [InlineData("X=y", "CNI_COMMAND is not set")]
    [InlineData("CNI_COMMAND=", "CNI_COMMAND is not set")]
    [InlineData("CNI_COMMAND=ADDED", "none of ADD")]
    [InlineData("CNI_COMMAND=AD", "none of ADD")]
    public async Task A_call_without_a_command_is_refused(string variable, string said) =>
        AssertError(await RunAsync([variable, "AWS_VPC_CNI_SOCKET=/nowhere"], []), 4, said);

    private static void Leave(string path)
    {
        using var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        dead.Bind(new UnixDomainSocketEndPoint(path + ".bound")); // Under another name: .NET takes its file away when it closes.
        File.Move(path + ".bound", path);
    }

    private static string[] Names(DirectoryInfo folder) => [.. folder.EnumerateFileSystemInfos().Select(file => file.Name)];

    private static string[] Variables(string command) =>
        ["CNI_COMMAND=" + command, "CNI_CONTAINERID=c-1", "CNI_NETNS=/proc/self/ns/net", "CNI_IFNAME=eth0"];

    private static async Task<PluginResult> RunAsync(string[] variables, byte[] stdin, params string[] around)
    {
        using var plugin = await PluginProcess.StartAsync(variables, stdin, around);
        return await plugin.ResultAsync();
    }

    private static void AssertUnanswered(string command, PluginResult result, string said)
    {
        if (command is "DEL")
        {
            Assert.Equal((0, 0), (result.ExitCode, result.Stdout.Length));
            return;
        }

        AssertError(result, 11, said);
    }

    private static void AssertError(PluginResult result, int code, string said)
    {
        var error = JsonDocument.Parse(result.Stdout).RootElement;
        Assert.Equal(1, result.ExitCode);
        Assert.Equal("1.0.0", error.GetProperty("cniVersion").GetString());
        Assert.Equal(code, error.GetProperty("code").GetInt32());
        Assert.Contains(said, error.GetProperty("msg").GetString(), StringComparison.Ordinal);
    }

    private async Task<(PluginResult Result, Request Request)> ExchangeAsync(string[] variables, byte[] stdin, Action<Socket> answer)
    {
        var serving = executor.ServeAsync(answer);
        var result = await RunAsync([.. variables, "AWS_VPC_CNI_SOCKET=" + executor.SocketPath], stdin);
        return (result, await serving);
    }
}
