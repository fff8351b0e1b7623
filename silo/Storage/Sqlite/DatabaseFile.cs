using AwsVpcCni.Grains.Storage;
using Microsoft.Data.Sqlite;

namespace AwsVpcCni.Silo.Storage.Sqlite;

/// <summary>The store's file as it is found.</summary>
/// <param name="File">After links.</param>
/// <param name="State">Missing, free, held by a silo, or not known.</param>
/// <param name="Schema">Its version; null: it has none that we can read.</param>
/// <param name="Wrong">What is not in order, and what to do; null: nothing.</param>
internal sealed record FileLook(string File, string State, long? Schema, string? Wrong)
{
    /// <summary>A state: a silo has it.</summary>
    public const string Held = "held by a silo";

    /// <summary>A state: there is no file, and a silo would make it.</summary>
    public const string Missing = "missing";

    /// <summary>A state: the lock beside the file cannot be read.</summary>
    public const string Unknown = "not known";
}

/// <summary>Opens the store's file: owned alone, checked before the first write, at this program's schema version.</summary>
/// <remarks>Every failure is a <see cref="StoreException"/> that names the file and says what to do. A file that is not in
/// order is left as it is.</remarks>
internal sealed class DatabaseFile : IDisposable
{
    private const int SchemaVersion = 1;

    // "AVCS", in the file's header: tells our files from those of other programs.
    private const int ApplicationId = 0x41564353;

    // SQLite checkpoints at 1,000 pages of 4 KiB (wal_autocheckpoint's default).
    private const int LogBytes = 1000 * 4096;

    // What flock says when another has the lock (asm-generic/errno-base.h).
    private const int EAGAIN = 11;

    private const string Schema =
        """
        CREATE TABLE documents (
            name TEXT NOT NULL, grain TEXT NOT NULL, version INTEGER NOT NULL, body TEXT,
            PRIMARY KEY (name, grain)) STRICT;
        CREATE TABLE addresses (
            node TEXT NOT NULL, address TEXT NOT NULL, container TEXT NOT NULL, ifname TEXT NOT NULL,
            pod_namespace TEXT NOT NULL, pod_name TEXT NOT NULL, pod_uid TEXT NOT NULL,
            incarnation INTEGER NOT NULL, number INTEGER NOT NULL, since TEXT NOT NULL, released TEXT,
            PRIMARY KEY (node, address)) STRICT, WITHOUT ROWID;
        CREATE TABLE probe (id INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT;
        INSERT INTO probe VALUES (1, 0);
        """;

    // Not part of the version: a silo from before it was there has no use for it, and does it no harm.
    private const string History =
        """
        CREATE TABLE IF NOT EXISTS history (
            address TEXT NOT NULL, since TEXT NOT NULL, node TEXT NOT NULL, container TEXT NOT NULL, ifname TEXT NOT NULL,
            pod_namespace TEXT NOT NULL, pod_name TEXT NOT NULL, pod_uid TEXT NOT NULL,
            incarnation INTEGER NOT NULL, number INTEGER NOT NULL, released TEXT NOT NULL,
            PRIMARY KEY (address, since)) STRICT, WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS history_released ON history (released);
        """;

    private readonly FileStream _ownership;

    private DatabaseFile(FileStream ownership, SqliteConnection connection)
    {
        _ownership = ownership;
        Connection = connection;
    }

    /// <summary>The only connection; not for two threads at once.</summary>
    public SqliteConnection Connection { get; }

    /// <summary>Opens the file, or makes it.</summary>
    /// <exception cref="StoreException">Another silo has it, it is damaged, another program's or a newer silo's, or cannot be written.</exception>
    public static DatabaseFile Open(string path)
    {
        var file = FinalPath(path);
        var ownership = Own(file);
        SqliteConnection? connection = null;
        try
        {
            if (new FileInfo(file) is { Exists: true, Length: > 0 })
            {
                Check(file);
            }

            connection = Connect(file, SqliteOpenMode.ReadWriteCreate);
            // FULL: a commit has reached the disk (fsync of the -wal file) before it returns.
            Execute(connection, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 100;");
            if (Number(connection, "PRAGMA user_version") == 0)
            {
                Execute(connection, $"BEGIN IMMEDIATE; {Schema} PRAGMA application_id = {ApplicationId}; PRAGMA user_version = {SchemaVersion}; COMMIT;");
            }

            Execute(connection, History);

            // The -wal file goes with the last connection, and comes back empty. While it grows, each commit waits for the file system
            // to note its new size too: a quarter to a fifth of its time. So it is grown once, to where SQLite starts over in it.
            Execute(connection, $"DROP TABLE IF EXISTS grown; CREATE TABLE grown (bytes); INSERT INTO grown VALUES (zeroblob({LogBytes})); DROP TABLE grown; PRAGMA wal_checkpoint(RESTART);");
            return new DatabaseFile(ownership, connection);
        }
        catch (Exception e)
        {
            connection?.Dispose();
            ownership.Dispose();
            throw e is SqliteException refused ? Translate(file, refused) : e;
        }
    }

    /// <summary>Looks at the file and changes nothing, also while a silo has it.</summary>
    public static FileLook Look(string path)
    {
        var file = FinalPath(path);
        if (!File.Exists(file))
        {
            return new FileLook(file, FileLook.Missing, null, null);
        }

        var state = FileLook.Unknown;
        try
        {
            state = IsHeld(file) ? FileLook.Held : "free";
            Check(file);
            using var connection = Connect(file, SqliteOpenMode.ReadOnly);
            return new FileLook(file, state, Number(connection, "PRAGMA user_version"), null);
        }
        catch (SqliteException e)
        {
            return new FileLook(file, state, null, Translate(file, e).Message);
        }
        catch (StoreException e)
        {
            return new FileLook(file, state, null, e.Message);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Connection.Dispose();
        _ownership.Dispose();
    }

    // Two names of one file must meet at one lock.
    private static string FinalPath(string path)
    {
        var full = Path.GetFullPath(path);
        return File.Exists(full) ? File.ResolveLinkTarget(full, returnFinalTarget: true)?.FullName ?? full : full;
    }

    private static FileStream Own(string file)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            // FileShare.None is flock(LOCK_EX): the kernel ends it with the process, however that dies. Before the file itself is
            // opened, since closing a descriptor of it would end the locks that SQLite holds for another owner in this process.
            var ownership = new FileStream(file + ".lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            File.Open(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite).Dispose();
            return ownership;
        }
        catch (IOException e) when (e.HResult == EAGAIN)
        {
            throw new StoreException($"{file}: another silo has it (it holds {file}.lock). One SQLite file serves one silo: stop the other one (`fuser {file}.lock` names it), or set Storage:Path to another file.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StoreException($"{file}: cannot be written ({e.Message}). Give the silo's user write permission on the file and its folder, or set Storage:Path to another file.", e);
        }
    }

    private static bool IsHeld(string file)
    {
        try
        {
            File.Open(file + ".lock", FileMode.Open, FileAccess.Read, FileShare.Read).Dispose(); // flock(LOCK_SH).
            return false;
        }
        catch (FileNotFoundException)
        {
            return false;
        }
        catch (IOException e) when (e.HResult == EAGAIN)
        {
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StoreException($"{file}.lock: cannot be read ({e.Message}), so it is not known whether a silo has the file. Run this as the silo's user.", e);
        }
    }

    // By a connection that cannot write, so that a damaged file stays what it is.
    private static void Check(string file)
    {
        using var connection = Connect(file, SqliteOpenMode.ReadOnly);
        var version = Number(connection, "PRAGMA user_version");
        var isOurs = Number(connection, "PRAGMA application_id") == ApplicationId;
        if (!isOurs && (version != 0 || Number(connection, "SELECT count(*) FROM sqlite_schema") != 0))
        {
            throw new StoreException($"{file}: a SQLite file of another program. It was left as it is. Set Storage:Path to another file.");
        }

        if (version > SchemaVersion)
        {
            throw new StoreException($"{file}: written by a newer silo (schema {version}; this one knows {SchemaVersion}). It was left as it is. Run the newer silo, or set Storage:Path to another file.");
        }

        using var check = connection.CreateCommand();
        check.CommandText = "PRAGMA quick_check(1)";
        if (check.ExecuteScalar() is not "ok" and var finding)
        {
            throw Damaged(file, finding?.ToString() ?? "no finding", null);
        }
    }

    private static SqliteConnection Connect(string file, SqliteOpenMode mode)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = file, Mode = mode, Pooling = false, DefaultTimeout = 1 }.ConnectionString);
        try
        {
            connection.Open();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private static void Execute(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Only constants of this file come here.
        command.CommandText = sql;
#pragma warning restore CA2100
        command.ExecuteNonQuery();
    }

    private static long Number(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Only constants of this file come here.
        command.CommandText = sql;
#pragma warning restore CA2100
        return (long)command.ExecuteScalar()!;
    }

    /// <summary>What SQLite has said of the file, and what to do.</summary>
    public static StoreException Translate(string file, SqliteException refused) => refused.SqliteErrorCode switch
    {
        SQLitePCL.raw.SQLITE_CORRUPT or SQLitePCL.raw.SQLITE_NOTADB => Damaged(file, refused.Message, refused),
        _ => new StoreException($"{file}: cannot be opened ({refused.Message}). Check the file's and its folder's permissions and the room on the disk, or set Storage:Path to another file.", refused),
    };

    private static StoreException Damaged(string file, string finding, Exception? inner) =>
        new($"{file}: damaged ({finding}). It was left as it is. Restore a copy of it, or move it and its -wal and -shm files away: without a file the silo starts empty and reads EC2 and the nodes' reports again.", inner);
}
