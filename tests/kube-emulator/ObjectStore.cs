using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json.Nodes;

namespace AwsVpcCni.KubeEmulator;

/// <summary>The objects, each change with the next resource version, and the last changes for watches.</summary>
public sealed class ObjectStore(TimeProvider time)
{
    private const int Kept = 20_000;
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, JsonObject> _objects = new(StringComparer.Ordinal);
    private readonly List<Change> _changes = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _version = 1000;
    private long _forgottenTo = 1000;

    /// <summary>Of the last change.</summary>
    public long Version
    {
        get
        {
            lock (_lock)
            {
                return _version;
            }
        }
    }

    /// <summary>Ends at the next change.</summary>
    public Task Changed
    {
        get
        {
            lock (_lock)
            {
                return _changed.Task;
            }
        }
    }

    /// <summary>A copy; null when there is none.</summary>
    public JsonObject? Get(ResourceType type, string? ns, string name)
    {
        lock (_lock)
        {
            return _objects.TryGetValue(Key(type, ns, name), out var found) ? (JsonObject)found.DeepClone() : null;
        }
    }

    /// <summary>Copies of all, in the order of their keys, and the version that they are of.</summary>
    public (ImmutableArray<(string Key, JsonObject Item)> Items, long Version) List(ResourceType type, string? ns)
    {
        lock (_lock)
        {
            var prefix = ns is null ? $"{type.Group}/{type.Plural}/" : $"{type.Group}/{type.Plural}/{ns}/";
            return ([.. _objects.Where(entry => entry.Key.StartsWith(prefix, StringComparison.Ordinal)).Select(entry => (entry.Key, (JsonObject)entry.Value.DeepClone()))], _version);
        }
    }

    /// <summary>Puts an object in: makes it, or takes the place of the one of its name.</summary>
    public JsonObject Put(JsonObject item)
    {
        var type = ResourceType.Of(Text(item, "apiVersion"), Text(item, "kind")) ?? throw new ArgumentException($"{item["apiVersion"]} {item["kind"]} is no kind that the emulator has.", nameof(item));
        return Change(type, item["metadata"]?["namespace"]?.GetValue<string>(), item["metadata"]?["name"]?.GetValue<string>() ?? throw new ArgumentException("metadata.name is missing.", nameof(item)), _ => (JsonObject)item.DeepClone())!;
    }

    /// <summary>Removes an object; false when there is none.</summary>
    public bool Remove(ResourceType type, string? ns, string name) => Change(type, ns, name, _ => null) is not null;

    /// <summary>Changes one object as a whole.</summary>
    /// <param name="change">Gets a copy, or null when there is none; what it returns is stored, and null removes it.</param>
    /// <returns>The object as it is now, or as it was before it was removed; null when there was none to remove.</returns>
    public JsonObject? Change(ResourceType type, string? ns, string name, Func<JsonObject?, JsonObject?> change)
    {
        lock (_lock)
        {
            var key = Key(type, ns, name);
            var before = _objects.GetValueOrDefault(key);
            var after = change((JsonObject?)before?.DeepClone());
            if (after is null && before is null)
            {
                return null;
            }

            _version++;
            if (after is not null)
            {
                var metadata = after["metadata"]!.AsObject();
                metadata["uid"] = before?["metadata"]?["uid"]?.DeepClone() ?? metadata["uid"]?.DeepClone() ?? Guid.CreateVersion7(time.GetUtcNow()).ToString();
                metadata["creationTimestamp"] ??= time.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
                metadata["resourceVersion"] = _version.ToString(CultureInfo.InvariantCulture);
                (after["apiVersion"], after["kind"]) = (type.ApiVersion, type.Kind);
                _objects[key] = after;
            }
            else
            {
                _objects.Remove(key);
            }

            _changes.Add(new Change(_version, type, ns, before, after));
            if (_changes.Count > Kept)
            {
                Forget(_changes[Kept / 2].Version);
            }

            var signal = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            signal.SetResult();
            return (JsonObject)(after ?? before!).DeepClone();
        }
    }

    /// <summary>The changes after a version; null when they are not kept any more, which a watch is told as 410.</summary>
    public (ImmutableArray<Change> Changes, long Version)? Since(long version, ResourceType type, string? ns)
    {
        lock (_lock)
        {
            return version < _forgottenTo ? null
                : ([.. _changes.Where(change => change.Version > version && change.Type == type && (ns is null || change.Namespace == ns))], _version);
        }
    }

    /// <summary>As etcd's compaction: watches from before now get 410.</summary>
    public void Compact()
    {
        lock (_lock)
        {
            Forget(_version);
        }
    }

    private void Forget(long version)
    {
        _changes.RemoveAll(change => change.Version <= version);
        _forgottenTo = version;
    }

    private static string Key(ResourceType type, string? ns, string name) => $"{type.Group}/{type.Plural}/{ns ?? "-"}/{name}";

    private static string Text(JsonObject item, string name) => item[name]?.GetValue<string>() ?? "";
}

/// <summary>One change of one object.</summary>
/// <param name="Before">Null when it was made.</param>
/// <param name="After">Null when it was removed.</param>
public sealed record Change(long Version, ResourceType Type, string? Namespace, JsonObject? Before, JsonObject? After);
