using System.Buffers.Binary;
using AwsVpcCni.CniProtocol;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.CniPlugin;

public sealed class FrameTests
{
    [Fact]
    public void A_request_is_these_bytes() => Assert.Equal(
        [0x41, 0x56, 0x43, 0x31, 4, 0, 0, 0, 2, 0, 0, 0, .. "A=b\0{}"u8],
        Frame.WriteRequest("A=b\0"u8, "{}"u8));

    [Fact]
    public void A_reply_is_these_bytes() => Assert.Equal([2, 0, 0, 0, 7, 0, 0, 0, .. "{}"u8], Frame.WriteReply(7, "{}"u8));

    [Fact]
    public void The_header_of_a_written_request_says_its_sizes() =>
        Gen.Select(Gen.Byte.Array[0, 300], Gen.Byte.Array[0, 300]).Sample((environment, stdin) =>
        {
            var request = Frame.WriteRequest(environment, stdin);
            var size = Frame.ReadRequestHeader(request);
            return size == new RequestSize(environment.Length, stdin.Length)
                && request.Length == Frame.RequestHeaderSize + size.Total
                && request.AsSpan(Frame.RequestHeaderSize, size.Environment).SequenceEqual(environment)
                && request.AsSpan(Frame.RequestHeaderSize + size.Environment).SequenceEqual(stdin);
        });

    [Fact]
    public void Any_bytes_are_a_header_within_the_limits_or_a_cni_error() =>
        Gen.Select(Gen.Byte.Array[0, 20], Gen.Bool).Sample((bytes, withMagic) =>
        {
            if (withMagic && bytes.Length >= 4)
            {
                BinaryPrimitives.WriteUInt32LittleEndian(bytes, Frame.Magic);
            }

            try
            {
                var size = Frame.ReadRequestHeader(bytes);
                return size.Environment is >= 0 and <= Frame.MaxEnvironmentSize && size.Stdin is >= 0 and <= Frame.MaxStdinSize;
            }
            catch (CniException e)
            {
                return e.Error.Code is CniErrorCode.DecodingFailure or CniErrorCode.InvalidEnvironment;
            }
        });

    [Theory]
    [InlineData(Frame.MaxEnvironmentSize, Frame.MaxStdinSize, null)]
    [InlineData(Frame.MaxEnvironmentSize + 1, 0, CniErrorCode.InvalidEnvironment)]
    [InlineData(0, Frame.MaxStdinSize + 1, CniErrorCode.DecodingFailure)]
    [InlineData(-1, 0, CniErrorCode.InvalidEnvironment)] // 4 GiB - 1 when read unsigned.
    [InlineData(0, -1, CniErrorCode.DecodingFailure)]
    public void The_limits_are_part_of_the_header(int environment, int stdin, CniErrorCode? refusal)
    {
        var header = new byte[Frame.RequestHeaderSize];
        BinaryPrimitives.WriteUInt32LittleEndian(header, Frame.Magic);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(4), environment);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(8), stdin);

        Assert.Equal(refusal, (Record.Exception(() => Frame.ReadRequestHeader(header)) as CniException)?.Error.Code);
    }

    [Fact]
    public void Another_magic_is_told_as_a_matter_of_versions()
    {
        var request = Frame.WriteRequest([], []);
        request[3]++;

        var error = Assert.Throws<CniException>(() => Frame.ReadRequestHeader(request)).Error;

        Assert.Contains("different versions", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(256)]
    public void An_exit_code_is_a_byte(int code) => Assert.Throws<ArgumentOutOfRangeException>(() => Frame.WriteReply(code, []));
}
