using System.CommandLine;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Storage;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Cli;

/// <summary><c>ipam export</c>: all that the store holds, as JSON lines; no silo may run on it.</summary>
internal static class ExportCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        var file = new Argument<string>("file") { Description = "A new file, or - for standard output.", DefaultValueFactory = _ => "-", HelpName = "FILE|-" };
        var command = new Command("export", "Writes all that the store holds as JSON lines: documents, who holds which address and who has had it. Stop all silos first.") { file };
        command.SetAction(async (parsed, cancellation) =>
        {
            await using var parts = CommandParts.OfStore();
            var contents = parts.GetRequiredService<IStoreContents>();
            var header = new ExportHeader(
                ExportFile.Format, parts.GetRequiredService<IOptions<ClusterIdentityOptions>>().Value.Name, parts.GetRequiredService<IOptions<StorageOptions>>().Value.Provider,
                parts.GetRequiredService<TimeProvider>().GetUtcNow());
            Warn(contents);
            var path = parsed.GetValue(file)!;
            var counts = path == "-"
                ? await WriteAsync(Console.OpenStandardOutput())
                : await WriteFileAsync(path);
            await Console.Error.WriteLineAsync($"{counts} of cluster {header.Cluster} exported.");
            return 0;

            Task<ExportCounts> WriteAsync(Stream output) => ExportFile.WriteAsync(output, header, contents.ReadAsync(cancellation), cancellation);

            async Task<ExportCounts> WriteFileAsync(string path)
            {
                await using var output = Make(path);
                try
                {
                    var counts = await WriteAsync(output);
                    output.Flush(flushToDisk: true);
                    return counts;
                }
                catch
                {
                    File.Delete(path);
                    throw;
                }
            }
        });
        return command;
    }

    /// <summary>What a user has to know before a command that wants no silo beside it.</summary>
    public static void Warn(IStoreContents contents)
    {
        if (contents.Caution is { } caution)
        {
            Console.Error.WriteLine($"warning: {caution}");
        }
    }

    private static FileStream Make(string path)
    {
        try
        {
            // It says which pod is where.
            return new FileStream(path, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite });
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"{path}: cannot be made ({e.Message}). Give a new file in a folder that you may write.");
        }
    }
}
