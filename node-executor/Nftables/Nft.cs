using System.Runtime.InteropServices;

namespace AwsVpcCni.NodeExecutor.Nftables;

/// <summary>The nft command language, carried out in this process by libnftables, in the network namespace of the calling thread.</summary>
/// <remarks>One text is one transaction: all of it is in force or nothing. libnftables(3).</remarks>
internal static unsafe partial class Nft
{
    private const string Library = "libnftables.so.1";
    private const uint NFT_CTX_DEFAULT = 0;
    private const uint NFT_CTX_OUTPUT_STATELESS = 2; // Listings without what counters count.

    /// <summary>Whether the library can be loaded.</summary>
    internal static bool IsInstalled => NativeLibrary.TryLoad(Library, out _); // It stays loaded: the calls below need it.

    /// <summary>Runs commands.</summary>
    /// <returns>What they list.</returns>
    /// <exception cref="NftException">The kernel or the library refuses; nothing was done.</exception>
    internal static string Run(string commands)
    {
        var context = New(NFT_CTX_DEFAULT);
        if (context == 0)
        {
            throw new NftException("libnftables gives no context: out of memory");
        }

        try
        {
            SetOutputFlags(context, NFT_CTX_OUTPUT_STATELESS);
            if (BufferOutput(context) != 0 || BufferError(context) != 0)
            {
                throw new NftException("libnftables gives no buffer: out of memory");
            }

            return RunCommands(context, commands) == 0
                ? Marshal.PtrToStringUTF8(OutputOf(context)) ?? ""
                : throw new NftException((Marshal.PtrToStringUTF8(ErrorOf(context)) ?? "").ReplaceLineEndings(" ").Trim());
        }
        finally
        {
            Free(context);
        }
    }

    [LibraryImport(Library, EntryPoint = "nft_ctx_new")]
    private static partial nint New(uint flags);

    [LibraryImport(Library, EntryPoint = "nft_ctx_free")]
    private static partial void Free(nint context);

    [LibraryImport(Library, EntryPoint = "nft_ctx_output_set_flags")]
    private static partial void SetOutputFlags(nint context, uint flags);

    [LibraryImport(Library, EntryPoint = "nft_ctx_buffer_output")]
    private static partial int BufferOutput(nint context);

    [LibraryImport(Library, EntryPoint = "nft_ctx_buffer_error")]
    private static partial int BufferError(nint context);

    [LibraryImport(Library, EntryPoint = "nft_ctx_get_output_buffer")]
    private static partial nint OutputOf(nint context);

    [LibraryImport(Library, EntryPoint = "nft_ctx_get_error_buffer")]
    private static partial nint ErrorOf(nint context);

    [LibraryImport(Library, EntryPoint = "nft_run_cmd_from_buffer", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int RunCommands(nint context, string commands);
}

/// <summary>nftables refuses, in its own words.</summary>
internal sealed class NftException(string message) : Exception(message);
