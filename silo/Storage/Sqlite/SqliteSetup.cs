using System.Text.Json;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;
using Orleans.Runtime.Hosting;

namespace AwsVpcCni.Silo.Storage.Sqlite;

/// <summary>The embedded store's parts.</summary>
internal static class SqliteSetup
{
    /// <summary>The name under which grains ask for their documents' storage.</summary>
    public const string Documents = "documents";

    /// <summary>Documents and rows in one SQLite file.</summary>
    public static IServiceCollection AddSqliteStorage(this IServiceCollection services, JsonSerializerOptions json) => services
        .AddSingleton(parts => Database.Open(parts.GetRequiredService<IOptions<StorageOptions>>().Value.Path, parts.GetRequiredService<TimeProvider>()))
        .AddSingleton<IAddressBook, AddressBook>()
        .AddGrainStorage(Documents, (parts, _) => ActivatorUtilities.CreateInstance<GrainStorage>(parts, json));
}
