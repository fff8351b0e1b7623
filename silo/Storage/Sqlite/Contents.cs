using System.Runtime.CompilerServices;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Storage.Sqlite;

/// <summary>All that a file holds, read and filled with the file's ownership: a silo that runs on it is seen by its lock.</summary>
/// <remarks>On the caller's thread, which SQLite may block: the command has nothing else to do.</remarks>
internal sealed class Contents(IOptions<StorageOptions> options) : IStoreContents
{
    private readonly string _path = options.Value.Path;

    /// <inheritdoc/>
    public string? Caution => null;

    /// <inheritdoc/>
    public async IAsyncEnumerable<StoreRecord> ReadAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        await Task.CompletedTask;
        if (!File.Exists(_path))
        {
            throw new StoreException($"{_path}: there is no such file, so there is nothing to export. Set Storage:Path to the silo's file.");
        }

        using var file = DatabaseFile.Open(_path);
        using var session = new Session(file.Connection);
        foreach (var document in Read(session, "SELECT grain, name, body FROM documents WHERE body IS NOT NULL ORDER BY name, grain", row => new StoreRecord.Document(row.GetString(0), row.GetString(1), row.GetString(2))))
        {
            cancellation.ThrowIfCancellationRequested();
            yield return document;
        }

        foreach (var address in Read(session, $"SELECT {AddressBook.Columns} FROM addresses ORDER BY node, address", AddressBook.Row))
        {
            cancellation.ThrowIfCancellationRequested();
            yield return new StoreRecord.Address(address);
        }

        foreach (var ended in Read(session, $"SELECT {AddressBook.Columns} FROM history ORDER BY address, since", AddressBook.Row))
        {
            cancellation.ThrowIfCancellationRequested();
            yield return new StoreRecord.History(ended);
        }
    }

    /// <inheritdoc/>
    public void Check(StoreRecord record)
    {
        // A file takes every record.
    }

    /// <inheritdoc/>
    /// <remarks>All of it or nothing: one transaction.</remarks>
    public async Task<bool> FillAsync(string importId, IAsyncEnumerable<StoreRecord> records, CancellationToken cancellation)
    {
        using var file = DatabaseFile.Open(_path);
        using var session = new Session(file.Connection);
        var found = session.Query("SELECT (SELECT count(*) FROM documents) + (SELECT count(*) FROM addresses) + (SELECT count(*) FROM history)", row => row.GetInt64(0)).Single();
        if (found > 0)
        {
            throw new StoreException($"{_path}: not empty ({found} documents and rows), and an import goes into an empty store only. Set Storage:Path to a new file, or move this one and its -wal and -shm files away.");
        }

        session.Execute("BEGIN IMMEDIATE");
        try
        {
            await foreach (var record in records.WithCancellation(cancellation))
            {
                Insert(session, record);
            }

            session.Execute("COMMIT");
            return true;
        }
        catch (SqliteException e)
        {
            TryRollBack(session);
            throw new StoreException($"{_path}: nothing is imported, SQLite refused ({e.Message}). Check the room on the disk, then import again.", e);
        }
        catch
        {
            TryRollBack(session);
            throw;
        }
    }

    private IEnumerable<T> Read<T>(Session session, string sql, Func<SqliteDataReader, T> read)
    {
        using var rows = session.Stream(sql, read).GetEnumerator();
        while (Moves())
        {
            yield return rows.Current;
        }

        bool Moves()
        {
            try
            {
                return rows.MoveNext();
            }
            catch (SqliteException e)
            {
                throw DatabaseFile.Translate(_path, e);
            }
            catch (Exception e) when (e is FormatException or ArgumentException or InvalidCastException)
            {
                throw new StoreException($"{_path}: a row cannot be read ({e.Message}). No silo writes such a one: restore a copy of the file.", e);
            }
        }
    }

    private static void Insert(Session session, StoreRecord record)
    {
        try
        {
            _ = record switch
            {
                StoreRecord.Document document => session.Execute(
                    "INSERT INTO documents (name, grain, version, body) VALUES ($name, $grain, 1, $body)",
                    ("$name", document.Name), ("$grain", document.Grain), ("$body", document.Body)),
                StoreRecord.Address address => AddressBook.Insert(session, address.Row),
                StoreRecord.History history => AddressBook.InsertEnded(session, history.Row),
                _ => throw new InvalidOperationException($"A record of the kind {record.GetType().Name} has no table."),
            };
        }
        catch (SqliteException e) when (e.SqliteErrorCode == SQLitePCL.raw.SQLITE_CONSTRAINT)
        {
            throw new StoreException($"{record} is in the export twice; nothing is imported. Export again.", e);
        }
    }

    private static void TryRollBack(Session session)
    {
        try
        {
            session.Execute("ROLLBACK");
        }
        catch (SqliteException)
        {
            // SQLite has rolled back already (a full disk, an I/O error): there is nothing to undo.
        }
    }
}
