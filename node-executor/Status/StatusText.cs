using System.Globalization;

namespace AwsVpcCni.NodeExecutor.Status;

/// <summary>The status as people read it. Pure.</summary>
internal static class StatusText
{
    private const int ShortId = 13; // As crictl shows containers.

    /// <summary>Lines, with an end each.</summary>
    internal static string Of(ExecutorStatus status)
    {
        var text = new StringWriter(CultureInfo.InvariantCulture) { NewLine = "\n" };
        var (silo, host, lease) = (status.Silo, status.Host, status.Lease);
        text.WriteLine($"node     {status.Node}, incarnation {status.Incarnation}, up for {Age(status.UpSeconds)}");
        text.WriteLine($"silo     {silo.Address ?? "none yet"}, {(silo.ContactSeconds is { } contact ? $"last answer {Age(contact)} ago" : "no answer since the start")}");
        Problem(silo.Failure);
        text.WriteLine($"host     {(host.IsReady ? "rules and table are set" : "not ready: no pod starts yet")}{(host.Waiting > 0 ? $" ({host.Waiting} wait)" : "")}, {(host.LookedSeconds is { } looked ? $"looked at {Age(looked)} ago" : "not looked at yet")}");
        Problem(host.Failure);
        text.WriteLine($"lease    version {lease.Version}; {lease.Addresses} addresses: {lease.InUse} in use, {lease.Leaving} leaving, {lease.Cooling} cooling, {lease.Free} free, {lease.NotUsable} not usable");
        Problem(lease.IsFileWritten ? null : "the lease file cannot be written, so no address can be claimed: check the disk of the state directory");
        text.WriteLine($"sync     {(lease.Untold == 0 ? "the silo knows of every end" : $"{lease.Untold} ends that no silo has confirmed")}");
        var repairs = status.Repairs.Where(repair => repair.Count > 0).Select(repair => $"{repair.Kind} {repair.Count} (last {Age(repair.LastSeconds ?? 0)} ago)");
        text.WriteLine($"repairs  {(string.Join(", ", repairs) is { Length: > 0 } some ? some : "none")}");

        Table(status.Interfaces, 0,
            ("INTERFACE", one => one.EniId), ("CARD", one => $"{one.NetworkCard}"), ("DEVICE", one => $"{one.Device}"), ("MAC", one => one.Mac), ("OWN ADDRESS", one => one.PrimaryAddress),
            ("STATE", one => one.IsLeaving ? "leaving" : one.IsSetUp ? "set up" : "not set up"), ("ADDRESSES", one => $"{one.Addresses}"), ("IN USE", one => $"{one.InUse}"));
        Table(status.Addresses, status.AddressesLeftOut,
            ("ADDRESS", one => one.Address), ("INTERFACE", one => one.EniId), ("STATE", StateOf), ("POD", one => one.Pod),
            ("SANDBOX", one => one.Sandbox is { } id ? Short(id) + "/" + one.IfName : null), ("LINK", one => one.Link), ("FOR", one => one.HeldSeconds is { } held ? Age(held) : null));
        Table(status.Waiting, status.WaitingLeftOut,
            ("WAITING POD", one => one.Pod), ("SANDBOX", one => Short(one.Sandbox) + "/" + one.IfName), ("FOR", one => Age(one.Seconds)),
            ("WHY", one => one.Code is null ? "it is asking for an address" : $"{one.Code}: {one.Reason}"));
        return text.ToString();

        void Problem(string? failure)
        {
            if (failure is not null)
            {
                text.WriteLine($"         ! {OneLine(failure)}");
            }
        }

        void Table<T>(IReadOnlyList<T> rows, int leftOut, params (string Head, Func<T, string?> Cell)[] columns)
        {
            if (rows.Count == 0)
            {
                return;
            }

            string[][] lines = [[.. columns.Select(column => column.Head)], .. rows.Select(row => columns.Select(column => OneLine(column.Cell(row) ?? "-")).ToArray())];
            int[] widths = [.. columns.Select((_, n) => lines.Max(line => line[n].Length))];
            text.WriteLine();
            foreach (var line in lines)
            {
                text.WriteLine(string.Join("  ", line.Select((cell, n) => cell.PadRight(widths[n]))).TrimEnd());
            }

            if (leftOut > 0)
            {
                text.WriteLine($"... and {leftOut} more");
            }
        }
    }

    private static string StateOf(AddressStatus one) => one.State switch
    {
        AddressState.Cooling => $"cooling, {Age(one.RestsSeconds ?? 0)} more",
        AddressState.InUse => "in use",
        AddressState.NotUsable => one.IsLeased ? "interface not set up" : "not leased",
        var other => other.ToString().ToLowerInvariant(),
    } + (one.State is not AddressState.NotUsable && !one.IsLeased ? ", goes back" : "");

    /// <summary>The two largest units.</summary>
    internal static string Age(double seconds) => TimeSpan.FromSeconds(seconds) switch
    {
        { TotalMinutes: < 1 } age => string.Create(CultureInfo.InvariantCulture, $"{Math.Floor(age.TotalSeconds):0} s"),
        { TotalHours: < 1 } age => $"{age.Minutes} m {age.Seconds} s",
        { TotalDays: < 1 } age => $"{age.Hours} h {age.Minutes} m",
        var age => $"{age.Days} d {age.Hours} h",
    };

    private static string Short(string id) => id.Length > ShortId ? id[..ShortId] : id;

    /// <summary>A pod's name comes from the runtime: no control character of it reaches a terminal.</summary>
    private static string OneLine(string text) => string.Concat(text.Select(c => char.IsControl(c) ? ' ' : c));
}
