using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;
using Orleans.Runtime.Hosting;

namespace AwsVpcCni.Silo.Storage.Sqlite;

/// <summary>The embedded store's parts.</summary>
internal static class SqliteSetup
{
    /// <summary>Documents, rows and history in one SQLite file.</summary>
    public static IServiceCollection AddSqliteStorage(this IServiceCollection services) => services
        .AddSingleton(parts => Database.Open(
            parts.GetRequiredService<IOptions<StorageOptions>>().Value.Path, parts.GetRequiredService<TimeProvider>(), parts.GetRequiredService<ILogger<Database>>(), parts.GetRequiredService<SqliteMetrics>()))
        .AddSingleton<SqliteMetrics>()
        .AddSingleton<IStore, SqliteStore>()
        .AddSingleton<IAddressBook, AddressBook>()
        .AddGrainStorage(DocumentJson.StorageName, (parts, _) => ActivatorUtilities.CreateInstance<GrainStorage>(parts))
        .AddSingleton<IStoreContents, Contents>();
}
