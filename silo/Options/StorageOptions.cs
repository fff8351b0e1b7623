using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Options;

/// <summary>Where documents and rows are stored; section <c>Storage</c>.</summary>
public sealed class StorageOptions : IValidatableObject
{
    /// <summary>A value of <see cref="Provider"/>.</summary>
    public const string DynamoDb = "dynamodb";

    private const string TableName = "^[a-zA-Z0-9_.-]{3,255}$"; // DynamoDB's "Naming rules".

    /// <summary><c>sqlite</c>, the embedded store, or <c>dynamodb</c>. Default <c>sqlite</c>.</summary>
    [RegularExpression("^(sqlite|dynamodb)$", ErrorMessage = "Storage:Provider must be sqlite or dynamodb; correct Storage__Provider.")]
    public string Provider { get; set; } = "sqlite";

    /// <summary>The SQLite file. Its folder is made when missing. Default <c>/var/lib/aws-vpc-cni/silo.db</c>.</summary>
    [Required(ErrorMessage = "Storage:Path is empty; set Storage__Path to a file on a local disk.")]
    public string Path { get; set; } = "/var/lib/aws-vpc-cni/silo.db";

    /// <summary>DynamoDB's region. Unset: <c>Ec2:Region</c>.</summary>
    public string? Region { get; set; }

    /// <summary>Where DynamoDB answers. Unset: <c>AWS_ENDPOINT_URL_DYNAMODB</c> when that is set, else the region's public endpoint.</summary>
    public string? ServiceUrl { get; set; }

    /// <summary>The table of rows. Two clusters must not share it. Default <c>addresses</c>.</summary>
    [RegularExpression(TableName, ErrorMessage = "Storage:AddressTable is no table name of DynamoDB (3 to 255 of a-z A-Z 0-9 _ . -); correct Storage__AddressTable.")]
    public string AddressTable { get; set; } = "addresses";

    /// <summary>The table of who has had an address. Two clusters must not share it. Default <c>address-history</c>.</summary>
    [RegularExpression(TableName, ErrorMessage = "Storage:HistoryTable is no table name of DynamoDB (3 to 255 of a-z A-Z 0-9 _ . -); correct Storage__HistoryTable.")]
    public string HistoryTable { get; set; } = "address-history";

    /// <summary>How long it is kept who has had an address; 1 hour to 400 days. Default 30 days.</summary>
    public TimeSpan HistoryKept { get; set; } = TimeSpan.FromDays(30);

    /// <summary>The table of documents, in the layout of Orleans' own provider. Two clusters must not share it. Default <c>OrleansGrainState</c>.</summary>
    [RegularExpression(TableName, ErrorMessage = "Storage:GrainTable is no table name of DynamoDB (3 to 255 of a-z A-Z 0-9 _ . -); correct Storage__GrainTable.")]
    public string GrainTable { get; set; } = "OrleansGrainState";

    /// <summary>The table of silos, with <c>Silo:Clustering</c> <c>dynamodb</c>; clusters of different names may share it. Default <c>OrleansSilos</c>.</summary>
    [RegularExpression(TableName, ErrorMessage = "Storage:MembershipTable is no table name of DynamoDB (3 to 255 of a-z A-Z 0-9 _ . -); correct Storage__MembershipTable.")]
    public string MembershipTable { get; set; } = "OrleansSilos";

    /// <summary>Whether a table that is missing at the start is made, with on-demand capacity. Default true.</summary>
    public bool CreateTables { get; set; } = true;

    /// <summary>How long one read or write of a row may take, its wait for others included. Default 150 ms.</summary>
    public TimeSpan AttemptDeadline { get; set; } = TimeSpan.FromMilliseconds(150);

    /// <summary>The same for a document, which no ADD waits for. Default 1 s.</summary>
    public TimeSpan DocumentDeadline { get; set; } = TimeSpan.FromSeconds(1);

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (!string.IsNullOrEmpty(Path) && !System.IO.Path.IsPathRooted(Path))
        {
            yield return new($"Storage:Path '{Path}' is not absolute; set Storage__Path to a full path such as /var/lib/aws-vpc-cni/silo.db.");
        }

        if (ServiceUrl is not null && !(Uri.TryCreate(ServiceUrl, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"))
        {
            yield return new($"Storage:ServiceUrl '{ServiceUrl}' is no http(s) URL; correct Storage__ServiceUrl or leave it unset.");
        }

        foreach (var shared in new[] { AddressTable, HistoryTable, GrainTable, MembershipTable }.GroupBy(table => table).Where(tables => tables.Count() > 1))
        {
            yield return new($"Storage:AddressTable, Storage:HistoryTable, Storage:GrainTable and Storage:MembershipTable have the name {shared.Key} more than once; give each its own.");
        }

        if (HistoryKept < TimeSpan.FromHours(1) || HistoryKept > TimeSpan.FromDays(400))
        {
            yield return new($"Storage:HistoryKept is {HistoryKept}; it must be 1 hour to 400 days, such as Storage__HistoryKept=30.00:00:00.");
        }

        foreach (var (name, value) in new[] { (nameof(AttemptDeadline), AttemptDeadline), (nameof(DocumentDeadline), DocumentDeadline) })
        {
            if (value < TimeSpan.FromMilliseconds(10) || value > TimeSpan.FromMinutes(1))
            {
                yield return new($"Storage:{name} is {value}; it must be 10 ms to 1 minute, such as Storage__{name}=00:00:00.150.");
            }
        }
    }
}

/// <summary>Checks <see cref="StorageOptions"/>.</summary>
[OptionsValidator]
internal sealed partial class StorageOptionsValidator : IValidateOptions<StorageOptions>;
