using System.Collections.Immutable;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using CsCheck;
using Xunit;
using static AwsVpcCni.Tests.Unit.NodeExecutor.Lease.LeaseBuilder;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Lease;

public sealed class LeaseFileTests : IDisposable
{
    private const string Boot = "boot-1";
    private readonly string directory = Directory.CreateTempSubdirectory("lease-test-").FullName;

    private string FilePath => Path.Combine(directory, "lease");

    public void Dispose() => Directory.Delete(directory, recursive: true);

    private LeaseFileContent Read(string instance = "i-1", string boot = Boot) => new LeaseFile(FilePath, boot).Read(instance);

    /// <summary>A snapshot, then a claim of sandbox 1 on address 0 and of 2 on 1, the second of which has ended and was freed at 9.</summary>
    private NodeLease Write()
    {
        using var file = new LeaseFile(FilePath, Boot);
        var lease = Node() with { Interfaces = ImmutableSortedDictionary<string, InterfaceOrder>.Empty.Add(Eni, Interface(Eni)) };
        file.Save(lease);
        foreach (var n in (int[])[0, 1])
        {
            lease = lease.WithClaim(n + 1, n, at: 3);
            file.Append(new LeaseEntry.Claimed(Address(n), lease.Slots[Address(n)].Hold!), lease);
        }

        (lease, var release) = lease.Delete(Sandbox(2), 9, At(8));
        file.Append(new LeaseEntry.Ended(release!.Value, lease.Ended[release.Value]), lease);
        lease = lease.LinkGone(Sandbox(2), Address(1), At(9));
        file.Append(new LeaseEntry.Freed(Sandbox(2), Address(1), At(9)), lease);
        return lease;
    }

    private static void AssertSame(NodeLease expected, NodeLease? actual)
    {
        Assert.NotNull(actual);
        Assert.Equal((expected.InstanceId, expected.Incarnation, expected.Version, expected.Policy), (actual.InstanceId, actual.Incarnation, actual.Version, actual.Policy));
        Assert.Equal(expected.Slots, actual.Slots);
        Assert.Equal(expected.Claims, actual.Claims);
        Assert.Equal(expected.Ended, actual.Ended);
        Assert.Equal(expected.Interfaces, actual.Interfaces);
    }

    [Fact]
    public void What_was_saved_and_appended_is_read_back()
    {
        var written = Write();
        var content = Read();

        AssertSame(written, content.Lease);
        Assert.Equal((true, null), (content.IsOfThisBoot, content.Warning));
    }

    [Fact]
    public void No_file_is_an_empty_lease_without_a_warning() => Assert.Equal(new LeaseFileContent(null, false, null), Read());

    [Fact]
    public void Another_boots_file_is_known_as_such()
    {
        Write();

        Assert.False(Read(boot: "boot-2").IsOfThisBoot);
    }

    [Fact]
    public void A_cut_anywhere_in_the_last_line_loses_only_that_line()
    {
        Write();
        var whole = File.ReadAllBytes(FilePath);
        var lastLine = whole.AsSpan(..^1).LastIndexOf((byte)'\n') + 1;
        for (var length = lastLine; length < whole.Length; length++)
        {
            File.WriteAllBytes(FilePath, whole[..length]);
            var lease = Read().Lease;
            Assert.NotNull(lease);
            Assert.True(lease.Slots[Address(1)].Hold!.Leaving);
        }
    }

    [Fact]
    public void A_changed_byte_before_the_last_line_makes_the_lease_empty_and_keeps_the_file_aside()
    {
        Write();
        var whole = File.ReadAllBytes(FilePath);
        var lastLine = whole.AsSpan(..^1).LastIndexOf((byte)'\n') + 1;
        Gen.Select(Gen.Int[0, lastLine - 2], Gen.Byte[1, 255]).Sample(
            (at, flip) =>
            {
                var damaged = (byte[])whole.Clone();
                damaged[at] ^= flip;
                File.WriteAllBytes(FilePath, damaged);
                var content = Read();
                return content.Lease is null && content.Warning!.Contains("damaged", StringComparison.Ordinal) && File.Exists(FilePath + ".aside");
            },
            iter: 300, threads: 1);
    }

    [Fact]
    public void A_checksum_in_capitals_is_a_changed_one()
    {
        Write();
        var whole = File.ReadAllBytes(FilePath);
        for (var at = 0; at < 8; at++)
        {
            whole[at] = (byte)char.ToUpperInvariant((char)whole[at]); // Of the first line; it has letters.
        }

        File.WriteAllBytes(FilePath, whole);
        Assert.Contains("damaged", Read().Warning, StringComparison.Ordinal);
    }

    [Fact]
    public void A_snapshot_that_misses_lines_is_damaged()
    {
        Write();
        File.WriteAllLines(FilePath, File.ReadAllLines(FilePath).Take(3));

        Assert.Contains("line 4 is damaged", Read().Warning, StringComparison.Ordinal);
    }

    [Fact]
    public void Another_instances_file_is_not_used_and_kept_aside()
    {
        Write();
        var content = Read("i-2");

        Assert.Null(content.Lease);
        Assert.Contains("it is the lease of i-1, and this node is i-2", content.Warning, StringComparison.Ordinal);
        Assert.True(File.Exists(FilePath + ".aside"));
    }

    [Fact]
    public void A_format_of_the_future_is_not_used()
    {
        File.WriteAllText(FilePath, new LeaseLine.Header(LeaseFile.Format + 1, "i-1", Boot, 1, 1, Policy, [], 0).ToText());

        Assert.Contains("its format is 2", Read().Warning, StringComparison.Ordinal);
    }

    [Fact]
    public void The_file_is_bounded_however_many_pods_come_and_go()
    {
        using var file = new LeaseFile(FilePath, Boot);
        var lease = Node().WithClaim(1, 0);
        for (var n = 0; n < 2 * LeaseFile.MaxAppended; n++)
        {
            file.Append(new LeaseEntry.Claimed(Address(0), lease.Slots[Address(0)].Hold!), lease);
        }

        Assert.InRange(File.ReadLines(FilePath).Count(), 1, LeaseFile.MaxAppended + 10);
        AssertSame(lease, Read().Lease);
    }

    [Fact]
    public void After_an_append_that_failed_the_next_one_writes_a_whole_file()
    {
        using var file = new LeaseFile(FilePath, Boot);
        var lease = Node();
        file.Save(lease);
        Directory.Move(directory, directory + "-away"); // A disk that has gone.
        lease = lease.WithClaim(1, 0);
        Assert.ThrowsAny<IOException>(() => file.Append(new LeaseEntry.Claimed(Address(0), lease.Slots[Address(0)].Hold!), lease));
        Directory.Move(directory + "-away", directory);
        lease = lease.WithClaim(2, 1);
        file.Append(new LeaseEntry.Claimed(Address(1), lease.Slots[Address(1)].Hold!), lease);

        AssertSame(lease, Read().Lease);
    }

    [Fact]
    public void A_second_executor_is_turned_away_with_the_firsts_pid()
    {
        using var first = ExecutorLock.Take(directory, processId: 4711);

        var refused = Assert.Throws<ExecutorStoppedException>(() => ExecutorLock.Take(directory, processId: 2));
        Assert.Contains("pid 4711", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_next_executor_is_admitted_when_the_first_has_gone()
    {
        ExecutorLock.Take(directory, processId: 4711).Dispose();

        using var second = ExecutorLock.Take(directory, processId: 2);
    }
}
