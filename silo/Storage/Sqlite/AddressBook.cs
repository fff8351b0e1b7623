using System.Collections.Immutable;
using System.Globalization;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Storage.Sqlite;

/// <summary>The rows of <c>addresses</c>, each change one conditional statement, and of <c>history</c>.</summary>
internal sealed class AddressBook(Database database, IOptions<StorageOptions> options, TimeProvider time) : IAddressBook
{
    /// <summary>Of both tables, as <see cref="Row"/> reads them.</summary>
    public const string Columns =
        "node, address, container, ifname, pod_namespace, pod_name, pod_uid, incarnation, number, since, released";

    private const string Values =
        "$node, $address, $container, $ifname, $namespace, $name, $uid, $incarnation, $number, $since, $released";

    private readonly TimeSpan _deadline = options.Value.AttemptDeadline;

    // What ended before is too old.
    private DateTimeOffset Kept => time.GetUtcNow() - options.Value.HistoryKept;

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
    public Task<bool> TryReleaseAsync(AddressRow ended, CancellationToken cancellation) =>
        database.RunAsync($"release {ended.Address} of {ended.NodeId} from {ended.Sandbox}", _deadline, session =>
        {
            AddToHistory(session, ended);
            return Release(session, ended);
        }, cancellation);

    /// <inheritdoc/>
    public Task<bool> TryWithdrawAsync(AddressRow offer, CancellationToken cancellation) =>
        database.RunAsync($"withdraw {offer.Address} of {offer.NodeId} from {offer.Sandbox}", _deadline, session => Release(session, offer), cancellation);

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

    /// <inheritdoc/>
    public async Task<ImmutableArray<AddressRow>> ReadHistoryAsync(Ip address, DateTimeOffset from, DateTimeOffset to, CancellationToken cancellation)
    {
        var kept = Kept;
        return [.. await database.RunAsync(
            $"read the history of {address}", options.Value.DocumentDeadline,
            session => session.Query(
                $"SELECT {Columns} FROM history WHERE address = $address AND since <= $to AND released >= $from ORDER BY since", Row,
                ("$address", address.ToString()), ("$to", Text(to)), ("$from", Text(from > kept ? from : kept))),
            cancellation)];
    }

    /// <summary>A row of an import, released or not.</summary>
    /// <returns>How many rows it has made: one.</returns>
    public static int Insert(Session session, AddressRow row) => session.Execute($"INSERT INTO addresses ({Columns}) VALUES ({Values})", Of(row));

    /// <summary>The same for one that has ended.</summary>
    public static int InsertEnded(Session session, AddressRow ended) => session.Execute($"INSERT INTO history ({Columns}) VALUES ({Values})", Of(ended));

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

    /// <summary>The statement of an assignment.</summary>
    /// <returns>The row that stands in its way; null: it is made.</returns>
    public static AddressRow? Assign(Session session, AddressRow row)
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

    private void AddToHistory(Session session, AddressRow ended)
    {
        session.Execute($"INSERT INTO history ({Columns}) VALUES ({Values}) ON CONFLICT DO NOTHING", Of(ended));
        // As much of what is too old goes with each as keeps the file from growing; a second one, so that a shorter time is reached, too.
        session.Execute(
            "DELETE FROM history WHERE (address, since) IN (SELECT address, since FROM history WHERE released < $kept ORDER BY released LIMIT 2)", ("$kept", Text(Kept)));
    }

    private static bool Release(Session session, AddressRow ended) =>
        session.Execute(
            """
            UPDATE addresses SET released = coalesce(released, $released)
            WHERE node = $node AND address = $address AND container = $container AND ifname = $ifname
              AND (incarnation, number) <= ($incarnation, $number)
            """,
            ("$released", Text(ended.Released!.Value)), ("$node", ended.NodeId), ("$address", ended.Address.ToString()), ("$container", ended.Sandbox.ContainerId),
            ("$ifname", ended.Sandbox.IfName), ("$incarnation", ended.Stamp.Incarnation), ("$number", ended.Stamp.Number)) == 1;

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
