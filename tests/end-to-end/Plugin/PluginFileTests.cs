using System.Buffers.Binary;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Plugin;

/// <summary>The shipped plugin as a file.</summary>
public sealed class PluginFileTests
{
    private const uint PT_DYNAMIC = 2, PT_INTERP = 3; // elf.h

    [Fact]
    public void It_runs_on_any_node_image_since_it_needs_no_library() =>
        Assert.DoesNotContain(SegmentTypes(File.ReadAllBytes(PluginProcess.Program)), t => t is PT_DYNAMIC or PT_INTERP);

    [Fact]
    public void The_reading_of_segments_sees_a_dynamic_program() =>
        Assert.Contains(PT_INTERP, SegmentTypes(File.ReadAllBytes("/bin/sh")));

    [Fact]
    public void It_is_small() => Assert.InRange(new FileInfo(PluginProcess.Program).Length, 1, 4 << 20);

    /// <summary>p_type of each program header of a 64-bit ELF file.</summary>
    private static IEnumerable<uint> SegmentTypes(byte[] file)
    {
        Assert.Equal([0x7f, (byte)'E', (byte)'L', (byte)'F', 2], file[..5]);
        var (at, size, count) = (BinaryPrimitives.ReadInt64LittleEndian(file.AsSpan(32)), BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(54)), BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(56)));
        return Enumerable.Range(0, count).Select(i => BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan((int)at + (i * size))));
    }
}
