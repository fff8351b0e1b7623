using System.Collections.Immutable;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>The cluster's nodes as last seen, and which instance one is. Values in, values out; <see cref="NodeWatch"/> fills it.</summary>
internal sealed class NodeTable
{
    private readonly Lock _lock = new();
    private ImmutableDictionary<string, KnownNode> _byName = ImmutableDictionary<string, KnownNode>.Empty;
    private ImmutableDictionary<string, ImmutableHashSet<string>> _namesByInstance = ImmutableDictionary<string, ImmutableHashSet<string>>.Empty;

    /// <summary>Whether all have been listed once.</summary>
    public bool IsFilled { get; private set; }

    /// <summary>All of them.</summary>
    public IEnumerable<KnownNode> All
    {
        get
        {
            lock (_lock)
            {
                return _byName.Values;
            }
        }
    }

    /// <summary>What policies go by is another than before: nodes, their instances, labels, or ENIConfigs. Never two calls at once.</summary>
    public event Action? Changed;

    /// <summary>These are all.</summary>
    public void Reset(IReadOnlyCollection<KnownNode> nodes)
    {
        lock (_lock)
        {
            foreach (var gone in _byName.Keys.Except(nodes.Select(node => node.Name)))
            {
                Forget(gone);
            }

            foreach (var node in nodes)
            {
                Keep(node);
            }

            IsFilled = true;
        }

        Changed?.Invoke();
    }

    /// <summary>One that is new or has changed.</summary>
    public void Put(KnownNode node)
    {
        KnownNode? before;
        lock (_lock)
        {
            before = _byName.GetValueOrDefault(node.Name);
            Keep(node);
        }

        if (before is null || (before.Uid, before.InstanceId, before.EniConfig) != (node.Uid, node.InstanceId, node.EniConfig) || !before.Labels.SequenceEqual(node.Labels))
        {
            Changed?.Invoke();
        }
    }

    /// <summary>One that is gone.</summary>
    public void Remove(string name)
    {
        lock (_lock)
        {
            Forget(name);
        }

        Changed?.Invoke();
    }

    /// <summary>The node of an instance; null for none.</summary>
    public KnownNode? OfInstance(string instanceId)
    {
        lock (_lock)
        {
            return _namesByInstance.TryGetValue(instanceId, out var names) ? names.Select(name => _byName[name]).MinBy(node => node.Since) : null;
        }
    }

    /// <summary>The instance of a node; null for none, and where another node has it.</summary>
    public string? InstanceOf(string name)
    {
        lock (_lock)
        {
            return _byName.GetValueOrDefault(name)?.InstanceId is { } instance && OfInstance(instance)?.Name == name ? instance : null;
        }
    }

    /// <summary>The instance that a token's node is.</summary>
    /// <param name="why">Why none, with what to do.</param>
    /// <remarks>A kubelet writes the provider id of its own Node object when it makes it. So one that names another node's instance gets nothing: the first Node has it.</remarks>
    public string? InstanceOf(string name, string uid, out string why)
    {
        lock (_lock)
        {
            if (_byName.GetValueOrDefault(name) is not { } node)
            {
                why = $"the cluster has no node {name}.";
                return null;
            }

            if (node.Uid != uid)
            {
                why = $"node {name} is another one now (UID {node.Uid}, the token's is {uid}): the instance of the token's node has been replaced.";
                return null;
            }

            if (node.InstanceId is not { } instance)
            {
                why = $"node {name} has no spec.providerID of EC2 (aws:///ZONE/i-...) yet; the cloud controller or kubelet --provider-id sets it.";
                return null;
            }

            if (OfInstance(instance) is { } first && first.Name != name)
            {
                why = $"node {name} says that it is instance {instance}, which node {first.Name} has been before. Delete the Node that is not.";
                return null;
            }

            why = "";
            return instance;
        }
    }

    private void Keep(KnownNode node)
    {
        Forget(node.Name);
        _byName = _byName.SetItem(node.Name, node);
        if (node.InstanceId is { } instance)
        {
            _namesByInstance = _namesByInstance.SetItem(instance, _namesByInstance.GetValueOrDefault(instance, []).Add(node.Name));
        }
    }

    private void Forget(string name)
    {
        if (_byName.GetValueOrDefault(name) is { } old)
        {
            _byName = _byName.Remove(name);
            if (old.InstanceId is { } instance)
            {
                var others = _namesByInstance[instance].Remove(name);
                _namesByInstance = others.IsEmpty ? _namesByInstance.Remove(instance) : _namesByInstance.SetItem(instance, others);
            }
        }
    }
}
