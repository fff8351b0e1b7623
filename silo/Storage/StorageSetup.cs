using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Storage.DynamoDb;
using AwsVpcCni.Silo.Storage.Sqlite;

namespace AwsVpcCni.Silo.Storage;

/// <summary>Which store the silo has.</summary>
internal static class StorageSetup
{
    /// <summary>The one that <c>Storage:Provider</c> names.</summary>
    public static IServiceCollection AddStorage(this IServiceCollection services, IConfiguration configuration) =>
        configuration["Storage:Provider"] == StorageOptions.DynamoDb ? services.AddDynamoDbStorage() : services.AddSqliteStorage();
}
