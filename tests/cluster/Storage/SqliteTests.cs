using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Storage.Sqlite;
using Microsoft.Extensions.Options;
using Orleans.Storage;

namespace AwsVpcCni.Tests.Cluster.Storage;

public sealed class SqliteAddressBookTests : AddressBookContract, IDisposable
{
    private readonly SqliteFile _file = new();

    private protected override IAddressBook Book => new AddressBook(_file.Database, SqliteFile.Options, TimeProvider.System);

    public void Dispose() => _file.Dispose();

    private protected override IAddressBook Reopen()
    {
        _file.Reopen();
        return Book;
    }
}

public sealed class SqliteGrainStorageTests : GrainStorageContract, IDisposable
{
    private readonly SqliteFile _file = new();

    private protected override IGrainStorage Storage => new GrainStorage(_file.Database, SqliteFile.Options);

    public void Dispose() => _file.Dispose();

    private protected override IGrainStorage Reopen()
    {
        _file.Reopen();
        return Storage;
    }
}

/// <summary>A store in a folder of its own.</summary>
internal sealed class SqliteFile : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("avc-sqlite-");

    public SqliteFile() => Database = Database.Open(Path, TimeProvider.System);

    /// <summary>Far above what a busy test machine needs for one fsync: these tests are not about time.</summary>
    public static IOptions<StorageOptions> Options { get; } = Microsoft.Extensions.Options.Options.Create(
        new StorageOptions { AttemptDeadline = TimeSpan.FromSeconds(30), DocumentDeadline = TimeSpan.FromSeconds(30) });

    public Database Database { get; private set; }

    public string Path => System.IO.Path.Combine(_folder.FullName, "silo.db");

    public void Reopen()
    {
        Database.Dispose();
        Database = Database.Open(Path, TimeProvider.System);
    }

    public void Dispose()
    {
        Database.Dispose();
        _folder.Delete(recursive: true);
    }
}
