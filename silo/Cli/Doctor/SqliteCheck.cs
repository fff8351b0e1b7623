using AwsVpcCni.Silo.Storage.Sqlite;

namespace AwsVpcCni.Silo.Cli.Doctor;

/// <summary>Whether a silo could use its SQLite file.</summary>
internal static class SqliteCheck
{
    private const string Check = "Storage:Path";

    /// <summary>Looks at the file, or at the folder where it would be made.</summary>
    public static Finding Look(string path)
    {
        var look = DatabaseFile.Look(path);
        try
        {
            return look switch
            {
                { Wrong: { } wrong } => new Finding(Check, Outcome.Failed, wrong),
                { State: FileLook.Held } => new Finding(Check, Outcome.Failed, $"{look.File}: a silo has it. One SQLite file serves one silo: stop that one first."),
                { State: FileLook.Missing } => Make(look.File),
                _ => Write(look),
            };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new Finding(Check, Outcome.Failed, $"{look.File}: cannot be written ({e.Message}). Give the silo's user write permission on the file and its folder, or set Storage:Path to another file.");
        }
    }

    private static Finding Write(FileLook look)
    {
        File.Open(look.File, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite).Dispose();
        Try(Path.GetDirectoryName(look.File)!);
        return new Finding(Check, Outcome.Ok, $"{look.File}: whole, schema {look.Schema}, and it can be written");
    }

    private static Finding Make(string file)
    {
        var folder = Path.GetDirectoryName(file)!;
        while (!Directory.Exists(folder))
        {
            folder = Path.GetDirectoryName(folder)!;
        }

        Try(folder);
        return new Finding(Check, Outcome.Ok, $"{file}: not there yet, and {folder} can be written: the silo makes it");
    }

    // The -wal, -shm and .lock files go beside the file.
    private static void Try(string folder) => new FileStream(
        Path.Combine(folder, Path.GetRandomFileName()), new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, Options = FileOptions.DeleteOnClose }).Dispose();
}
