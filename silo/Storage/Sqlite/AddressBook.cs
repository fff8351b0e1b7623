using System.Collections.Immutable;
using System.Globalization;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Storage.Sqlite;

/// <summary>The rows of <c>addresses</c>: each change is one conditional statement.</summary>
internal sealed class AddressBook(Database database, IOptions<StorageOptions> options) : IAddressBook
{
    /// <summary>Of the table, as <see cref="Row"/> reads them.</summary>
    public const string Columns =
        "node, address, container, ifname, pod_namespace, pod_name, pod_uid, incarnation, number, since, released";

    private const string Values =
        "$node, $address, $container, $ifname, $namespace, $name, $uid, $incarnation, $number, $since, $released";

    private readonly TimeSpan _deadline = options.Value.AttemptDeadline;

    /// <inheritdoc/>
    public async Task<ImmutableArray<AddressRow>> ReadNodeAsync(string nodeId, CancellationToken cancellation)
    {
        var rows = await database.RunAsync(
            $"read the addresses of {nodeId}", options.Value.DocumentDeadline, // With the document, at an activation: often the first that a silo reads at all.
            session => session.Query($"SELECT {Columns} FROM addresses WHERE node = $node", Row, ("$node", nodeId)),
            cancellation);
        // By number: as text, 10.0.0.10 would come before 10.0.0.9.
        return [.. rows.OrderBy(row => row.Address)];
    }

    /// <inheritdoc/>
    public Task<AddressRow?> TryAssignAsync(AddressRow row, CancellationToken cancellation) =>
        database.RunAsync($"assign {row.Address} of {row.NodeId} to {row.Sandbox}", _deadline, session => Assign(session, row), cancellation);

    /// <inheritdoc/>
    public Task<bool> TryReleaseAsync(string nodeId, Ip address, SandboxKey sandbox, Stamp stamp, DateTimeOffset released, CancellationToken cancellation) =>
        database.RunAsync(
            $"release {address} of {nodeId} from {sandbox}", _deadline,
            session => session.Execute(
                """
                UPDATE addresses SET released = coalesce(released, $released)
                WHERE node = $node AND address = $address AND container = $container AND ifname = $ifname
                  AND (incarnation, number) <= ($incarnation, $number)
                """,
                ("$released", Text(released)), ("$node", nodeId), ("$address", address.ToString()), ("$container", sandbox.ContainerId),
                ("$ifname", sandbox.IfName), ("$incarnation", stamp.Incarnation), ("$number", stamp.Number)) == 1,
            cancellation);

    /// <inheritdoc/>
    public Task<bool> TryRemoveAsync(string nodeId, Ip address, CancellationToken cancellation) =>
        database.RunAsync(
            $"remove the row of {address} of {nodeId}", _deadline,
            session =>
            {
                session.Execute(
                    "DELETE FROM addresses WHERE node = $node AND address = $address AND released IS NOT NULL",
                    ("$node", nodeId), ("$address", address.ToString()));
                return Find(session, nodeId, address) is null;
            },
            cancellation);

    /// <summary>A row of an import, released or not.</summary>
    /// <returns>How many rows it has made: one.</returns>
    public static int Insert(Session session, AddressRow row) => session.Execute($"INSERT INTO addresses ({Columns}) VALUES ({Values})", Of(row));

    /// <summary>A row of a query for <see cref="Columns"/>.</summary>
    public static AddressRow Row(SqliteDataReader row) => new()
    {
        NodeId = row.GetString(0),
        Address = Ip.Parse(row.GetString(1)),
        Sandbox = new SandboxKey(row.GetString(2), row.GetString(3)),
        Pod = new PodName(row.GetString(4), row.GetString(5), row.GetString(6)),
        Stamp = new Stamp(row.GetInt64(7), row.GetInt64(8)),
        Since = Time(row.GetString(9)),
        Released = row.IsDBNull(10) ? null : Time(row.GetString(10)),
    };

    private static AddressRow? Assign(Session session, AddressRow row)
    {
        var written = session.Execute(
            $"""
            INSERT INTO addresses ({Columns})
            VALUES ({Values})
            ON CONFLICT (node, address) DO UPDATE SET
                container = excluded.container, ifname = excluded.ifname, pod_namespace = excluded.pod_namespace, pod_name = excluded.pod_name,
                pod_uid = excluded.pod_uid, incarnation = excluded.incarnation, number = excluded.number, since = excluded.since, released = NULL
            WHERE addresses.released IS NOT NULL
            """,
            Of(row)) == 1;
        if (written)
        {
            return null;
        }

        var stands = Find(session, row.NodeId, row.Address)!;
        return stands.Stamp == row.Stamp && stands.Sandbox == row.Sandbox ? null : stands;
    }

    private static AddressRow? Find(Session session, string nodeId, Ip address) =>
        session.Query(
            $"SELECT {Columns} FROM addresses WHERE node = $node AND address = $address", Row,
            ("$node", nodeId), ("$address", address.ToString())).SingleOrDefault();

    private static (string, object?)[] Of(AddressRow row) =>
    [
        ("$node", row.NodeId), ("$address", row.Address.ToString()), ("$container", row.Sandbox.ContainerId), ("$ifname", row.Sandbox.IfName),
        ("$namespace", row.Pod.Namespace), ("$name", row.Pod.Name), ("$uid", row.Pod.Uid),
        ("$incarnation", row.Stamp.Incarnation), ("$number", row.Stamp.Number), ("$since", Text(row.Since)),
        ("$released", row.Released is { } released ? Text(released) : null),
    ];

    private static string Text(DateTimeOffset time) => time.UtcDateTime.ToString("O", CultureInfo.InvariantCulture);

    private static DateTimeOffset Time(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind);
}
