using System.CommandLine;
using System.Security.Cryptography;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Storage;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Cli;

/// <summary><c>ipam import</c>: what <c>ipam export</c> has written, into an empty store.</summary>
internal static class ImportCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        var file = new Argument<string>("file") { Description = "What `ipam export` has written, or - for standard input.", DefaultValueFactory = _ => "-", HelpName = "FILE|-" };
        var command = new Command("import", "Puts an export into the store, which must be empty; it may be another kind of store. Stop all silos first. When it was interrupted on DynamoDB, run it again: until it has ended no silo starts.") { file };
        command.SetAction(async (parsed, cancellation) =>
        {
            await using var parts = CommandParts.OfStore();
            var contents = parts.GetRequiredService<IStoreContents>();
            var cluster = parts.GetRequiredService<IOptions<ClusterIdentityOptions>>().Value.Name;
            ExportCommand.Warn(contents);
            await using var input = await OpenAsync(parsed.GetValue(file)!, cancellation);
            var header = await ExportFile.ReadHeaderAsync(input, cancellation);
            if (header.Cluster != cluster)
            {
                throw new CommandException($"The export is of cluster {header.Cluster}, and Cluster:Name is {cluster}: interfaces are told apart by it. Set Cluster__Name={header.Cluster}, or give this cluster's export.");
            }

            // All of it before any of it is written: whole, understood, and such that the store can hold it.
            input.Position = 0;
            var counts = new ExportCounts(0, 0);
            await foreach (var record in ExportFile.ReadAsync(input, cancellation))
            {
                contents.Check(record);
                counts = counts.Plus(record);
            }

            input.Position = 0;
            var importId = $"import-{Convert.ToHexStringLower((await SHA256.HashDataAsync(input, cancellation)).AsSpan(0, 8))}";
            input.Position = 0;
            await Console.Error.WriteLineAsync(await contents.FillAsync(importId, ExportFile.ReadAsync(input, cancellation), cancellation)
                ? $"{counts} of cluster {cluster} imported."
                : $"This import has come to its end before: {counts} of cluster {cluster}. Nothing is changed.");
            return 0;
        });
        return command;
    }

    // It is read more than once, so what comes through a pipe goes to a file first.
    private static async Task<FileStream> OpenAsync(string path, CancellationToken cancellation)
    {
        try
        {
            var given = path == "-" ? Console.OpenStandardInput() : File.OpenRead(path);
            if (given is FileStream { CanSeek: true } file)
            {
                return file;
            }

            await using var pipe = given;
            var copy = new FileStream(
                Path.Combine(Path.GetTempPath(), Path.GetRandomFileName()),
                new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.ReadWrite, Options = FileOptions.DeleteOnClose, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite });
            await pipe.CopyToAsync(copy, cancellation);
            copy.Position = 0;
            return copy;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"{path}: cannot be read ({e.Message}). Give a file that `ipam export` has written, or - for standard input.");
        }
    }
}
